#include "runtime/cuda/bench/card_rig.hpp"

#include "runtime/cuda/bench/stream_read.cuh"

namespace hybridgen::cuda {
namespace {

constexpr int kSmallHalf = 0x2c;  // the bytes 0x2c2c: 0.065 in fp16

}  // namespace

CardRig::CardRig(Bytes buffer)
    : begin_(true),
      end_(true),
      memory_("bench-machine's memory of the GPU", device_memory()),
      mapped_("bench-machine's pinned memory", mapped_memory()),
      buffer_(memory_.allocate(buffer)),
      buffer_bytes_(buffer) {
  check(cudaDeviceGetAttribute(&multiprocessors_, cudaDevAttrMultiProcessorCount, 0),
        "cudaDeviceGetAttribute");
  check(cudaMemset(buffer_, kSmallHalf, static_cast<std::size_t>(buffer)), "cudaMemset");
}

double CardRig::seconds_of(int calls, const std::function<void(int call)>& launch) const {
  launch(0);  // what a first call costs is not asked here
  check(cudaEventRecord(begin_.get(), stream()), "cudaEventRecord");
  for (int i = 0; i < calls; ++i) launch(i);
  check(cudaEventRecord(end_.get(), stream()), "cudaEventRecord");
  check(cudaEventSynchronize(end_.get()), "a kernel under measurement");
  float ms = 0;
  check(cudaEventElapsedTime(&ms, begin_.get(), end_.get()), "cudaEventElapsedTime");
  return static_cast<double>(ms) * 1e-3 / calls;
}

TimedCase CardRig::streaming_read() {
  unsigned* sink = memory_.array<unsigned>(1);
  return {"stream_read", std::to_string(buffer_bytes_ >> 20) + " MiB", static_cast<double>(buffer_bytes_),
          false, [this, sink] {
            return seconds_of(
                3, [&](int) { stream_read(buffer_, buffer_bytes_, 4 * multiprocessors_, sink, stream()); });
          }};
}

}  // namespace hybridgen::cuda
