#include "runtime/cuda/device_memory.hpp"

#include <atomic>

namespace hybridgen::cuda {
namespace {

std::atomic<std::int64_t> asked{0};

// The system's pages, huge where it has them, rather than cudaHostAlloc's of 4 KiB: a scan of gigabytes asks
// for fewer translations.
std::byte* take_pinned(Bytes bytes) {
  count_allocation();
  const MemorySource system = system_memory();
  std::byte* address = system.take(bytes);
  const unsigned flags = cudaHostRegisterMapped | cudaHostRegisterPortable;
  if (address == nullptr || cudaHostRegister(address, static_cast<std::size_t>(bytes), flags) == cudaSuccess)
    return address;
  cudaGetLastError();  // a refusal is reported by the caller and leaves no error behind
  system.give_back(address, bytes);
  return nullptr;
}

void give_pinned_back(std::byte* address, Bytes bytes) {
  cudaHostUnregister(address);
  system_memory().give_back(address, bytes);
}

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
  return {"pinning memory", take_pinned, give_pinned_back};
}

}  // namespace hybridgen::cuda
