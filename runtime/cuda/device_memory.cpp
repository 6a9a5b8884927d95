#include "runtime/cuda/device_memory.hpp"

#include <atomic>
#include <cstring>

namespace hybridgen::cuda {
namespace {

std::atomic<std::int64_t> asked{0};

}  // namespace

std::int64_t allocations() {
  return asked.load(std::memory_order_relaxed);
}
void count_allocation() {
  asked.fetch_add(1, std::memory_order_relaxed);
}

MemorySource device_memory() {
  return {"the GPU",
          [](Bytes bytes) -> std::byte* {
            void* address = nullptr;
            count_allocation();
            if (cudaMalloc(&address, static_cast<std::size_t>(bytes)) != cudaSuccess) {
              cudaGetLastError();  // a refusal is reported by the caller and leaves no error behind
              return nullptr;
            }
            check(cudaMemset(address, 0, static_cast<std::size_t>(bytes)), "cudaMemset");
            return static_cast<std::byte*>(address);
          },
          [](std::byte* address, Bytes) { cudaFree(address); }};
}

MemorySource mapped_memory() {
  return {"pinning memory",
          [](Bytes bytes) -> std::byte* {
            void* address = nullptr;
            count_allocation();
            const unsigned flags = cudaHostAllocMapped | cudaHostAllocPortable;
            if (cudaHostAlloc(&address, static_cast<std::size_t>(bytes), flags) != cudaSuccess) {
              cudaGetLastError();
              return nullptr;
            }
            std::memset(address, 0, static_cast<std::size_t>(bytes));
            return static_cast<std::byte*>(address);
          },
          [](std::byte* address, Bytes) { cudaFreeHost(address); }};
}

}  // namespace hybridgen::cuda
