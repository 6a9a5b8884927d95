// The card under measurement: memory to work in, and the time that launched work takes there.
#pragma once

#include <functional>
#include <vector>

#include "runtime/cuda/bench/paired.hpp"
#include "runtime/cuda/device_memory.hpp"

namespace hybridgen::cuda {

class CardRig {
 public:
  // buffer: of the card, filled with small fp16 numbers that kernels take for weights or KV.
  explicit CardRig(Bytes buffer);

  cudaStream_t stream() const { return stream_.get(); }
  int multiprocessors() const { return multiprocessors_; }
  std::byte* buffer() const { return buffer_; }
  Bytes buffer_bytes() const { return buffer_bytes_; }
  TierMemory& memory() { return memory_; }
  TierMemory& mapped() { return mapped_; }
  template <class T>
  T* upload(const std::vector<T>& values) {
    T* to = memory_.array<T>(static_cast<std::int64_t>(values.size()));
    check(cudaMemcpy(to, values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice), "upload");
    return to;
  }

  // Seconds on the card of one call, when `calls` of them stand in the stream behind each other.
  double seconds_of(int calls, const std::function<void(int call)>& launch) const;
  // The streaming read of the whole buffer.
  TimedCase streaming_read();

 private:
  Stream stream_;
  Event begin_, end_;
  int multiprocessors_ = 0;
  TierMemory memory_, mapped_;
  std::byte* buffer_ = nullptr;
  Bytes buffer_bytes_ = 0;
};

}  // namespace hybridgen::cuda
