// What the link between host and card gives: copies of pinned memory by the copy engines and by kernels over
// mapped memory, by size and direction, one direction alone and both at once.
#include <array>

#include "runtime/calibrate/samples.hpp"
#include "runtime/calibrate/stream_read.hpp"
#include "runtime/cuda/bench/card_rig.hpp"
#include "runtime/cuda/bench/cuda_bench.hpp"
#include "runtime/cuda/kernels/copy_rows.cuh"
#include "runtime/cuda/kernels/gather_rows.cuh"
#include "runtime/host/cores.hpp"

namespace hybridgen::cuda {
namespace {

constexpr Bytes kLargest = 256LL << 20;
constexpr int kRounds = 7;
constexpr int kRowBytes = 256;
constexpr int kCopyBlocks = 32;  // as gpu_ops.cpp takes for a transfer

int calls_of(Bytes bytes) {
  return bytes >= (16LL << 20) ? 2 : 32;
}

std::string text_of(Bytes bytes) {
  return bytes >= (1 << 20) ? std::to_string(bytes >> 20) + " MiB" : std::to_string(bytes >> 10) + " KiB";
}

class Link {
 public:
  Link()
      : rig_(2 * kLargest),
        up_(rig_.mapped().allocate(kLargest)),
        down_(rig_.mapped().allocate(kLargest)),
        op_(rig_.memory().array<OpParams>(1)) {}

  void engine(Bytes bytes, std::vector<Measurement>& figures) {
    const auto up = [&](cudaStream_t stream) {
      check(cudaMemcpyAsync(rig_.buffer(), up_, static_cast<std::size_t>(bytes), cudaMemcpyHostToDevice,
                            stream),
            "cudaMemcpyAsync");
    };
    const auto down = [&](cudaStream_t stream) {
      check(cudaMemcpyAsync(down_, rig_.buffer() + kLargest, static_cast<std::size_t>(bytes),
                            cudaMemcpyDeviceToHost, stream),
            "cudaMemcpyAsync");
    };
    measure("copy engine", bytes, up, down, figures);
  }

  // K rows in one half of the bytes, V rows in the other, as a step copies them.
  void kernel(Bytes bytes, std::vector<Measurement>& figures) {
    const std::int64_t rows = bytes / (2 * kRowBytes);
    const OpParams params{rows, 0, 1, 0, rows};
    check(cudaMemcpy(op_, &params, sizeof params, cudaMemcpyHostToDevice), "upload");
    const auto store = [&](std::byte* base) { return KvStore{base, base + bytes / 2, rows}; };
    const auto copy = [&](std::byte* from, std::byte* to, cudaStream_t stream) {
      copy_rows({op_, store(from), store(to), 1, kRowBytes}, kCopyBlocks, stream);
    };
    measure(
        "kernel over mapped memory", bytes, [&](cudaStream_t s) { copy(up_, rig_.buffer(), s); },
        [&](cudaStream_t s) { copy(rig_.buffer() + kLargest, down_, s); }, figures);
  }

 private:
  template <class Up, class Down>
  void measure(const std::string& by, Bytes bytes, const Up& up, const Down& down,
               std::vector<Measurement>& figures) {
    const int calls = calls_of(bytes);
    std::array<std::vector<double>, 3> seconds;
    for (int round = 0; round < kRounds; ++round) {
      seconds[0].push_back(rig_.seconds_of(calls, [&](int) { up(rig_.stream()); }));
      seconds[1].push_back(rig_.seconds_of(calls, [&](int) { down(rig_.stream()); }));
      seconds[2].push_back(both(calls, up, down));
    }
    const char* directions[] = {"h2d", "d2h", "both at once"};
    for (std::size_t i = 0; i < 3; ++i) {
      const Figure time = figure_of(seconds[i]);
      const double moved = static_cast<double>(i == 2 ? 2 * bytes : bytes);
      const std::string condition = std::string(directions[i]) + ", " + text_of(bytes);
      figures.push_back({by, condition, "time", "us", time.value * 1e6, time.spread, std::nullopt});
      figures.push_back({by, condition, "rate", "GB/s", moved / time.value / 1e9, time.spread, std::nullopt});
    }
  }

  // The second stream starts with the first one's events and ends inside them.
  template <class Up, class Down>
  double both(int calls, const Up& up, const Down& down) {
    check(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
    check(cudaEventRecord(begin_.get(), rig_.stream()), "cudaEventRecord");
    check(cudaStreamWaitEvent(other_.get(), begin_.get(), 0), "cudaStreamWaitEvent");
    for (int i = 0; i < calls; ++i) {
      up(rig_.stream());
      down(other_.get());
    }
    check(cudaEventRecord(joined_.get(), other_.get()), "cudaEventRecord");
    check(cudaStreamWaitEvent(rig_.stream(), joined_.get(), 0), "cudaStreamWaitEvent");
    check(cudaEventRecord(end_.get(), rig_.stream()), "cudaEventRecord");
    check(cudaEventSynchronize(end_.get()), "copies in both directions");
    float ms = 0;
    check(cudaEventElapsedTime(&ms, begin_.get(), end_.get()), "cudaEventElapsedTime");
    return static_cast<double>(ms) * 1e-3 / calls;
  }

  CardRig rig_;
  Stream other_;
  Event begin_{true}, end_{true}, joined_{false};
  std::byte* up_;
  std::byte* down_;
  OpParams* op_;
};

}  // namespace

std::vector<Measurement> measure_copies() {
  std::vector<Measurement> figures;
  {
    Link link;
    for (Bytes bytes = 4096; bytes <= kLargest; bytes *= 4) {
      link.engine(bytes, figures);
      link.kernel(bytes, figures);
    }
  }
  const int threads = usable_cores();
  const Figure host = ::hybridgen::stream_read(threads, kRounds);
  figures.push_back({"host memory", std::to_string(threads) + " threads", "streaming read", "GB/s",
                     host.value / 1e9, host.spread, std::nullopt});
  return figures;
}

std::vector<Measurement> measure_mapped_gathers() {
  constexpr int kHeads = 32;
  constexpr int kGroup = 4;
  constexpr std::int64_t kSlots = 131072;
  CardRig rig(1 << 20);
  std::byte* store = rig.mapped().allocate(kHeads / kGroup * kSlots * kRowBytes);
  std::vector<Measurement> figures;
  for (const int row_bytes : {128, 256}) {
    for (const std::int64_t per_head : {16, 128, 410, 1638, 6554}) {
      std::vector<std::int32_t> offsets;
      std::vector<std::int32_t> slot_of;
      for (int h = 0; h <= kHeads; ++h) offsets.push_back(static_cast<std::int32_t>(h * per_head));
      for (std::int64_t j = 0; j < kHeads * per_head; ++j)
        slot_of.push_back(static_cast<std::int32_t>(j * 7919 % kSlots));
      const GatherRowsArgs args{
          store,  kSlots, rig.upload(slot_of), rig.upload(offsets),
          kHeads, kGroup, row_bytes,           rig.memory().allocate(kHeads * per_head * row_bytes)};
      std::vector<double> seconds;
      for (int round = 0; round < kRounds; ++round)
        seconds.push_back(rig.seconds_of(8, [&](int) { gather_rows(args, 1, rig.stream()); }));
      const Figure time = figure_of(seconds);
      const std::string condition =
          std::to_string(kHeads * per_head) + " rows of " + std::to_string(row_bytes) + " bytes";
      figures.push_back(
          {"gather_rows", condition, "time", "us", time.value * 1e6, time.spread, std::nullopt});
      figures.push_back({"gather_rows", condition, "rate over the link", "GB/s",
                         static_cast<double>(kHeads * per_head * row_bytes) / time.value / 1e9, time.spread,
                         std::nullopt});
    }
  }
  return figures;
}

}  // namespace hybridgen::cuda
