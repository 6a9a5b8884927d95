#include "runtime/cuda/device_memory.hpp"

#include <sys/mman.h>

#include <atomic>
#include <cstdlib>
#include <cstring>

namespace hybridgen::cuda {
namespace {

std::atomic<std::int64_t> asked{0};

constexpr unsigned kPinned = cudaHostAllocMapped | cudaHostAllocPortable;
constexpr Bytes kHugePage = 2 << 20;

// Pages of 2 MiB where the system has them: a scan of gigabytes, by either side, asks for fewer translations
// than over those of 4 KiB that cudaHostAlloc takes.
std::byte* take_huge_pages(Bytes bytes) {
  const auto whole = static_cast<std::size_t>((bytes + kHugePage - 1) / kHugePage * kHugePage);
  void* address = std::aligned_alloc(kHugePage, whole);
  if (address == nullptr) return nullptr;
  madvise(address, whole, MADV_HUGEPAGE);
  std::memset(address, 0, static_cast<std::size_t>(bytes));
  if (cudaHostRegister(address, whole, cudaHostRegisterMapped | cudaHostRegisterPortable) == cudaSuccess)
    return static_cast<std::byte*>(address);
  cudaGetLastError();  // a refusal is reported by the caller and leaves no error behind
  std::free(address);
  return nullptr;
}

std::byte* take_pinned(Bytes bytes) {
  count_allocation();
  if (bytes >= kHugePage) return take_huge_pages(bytes);
  void* address = nullptr;
  if (cudaHostAlloc(&address, static_cast<std::size_t>(bytes), kPinned) != cudaSuccess) {
    cudaGetLastError();
    return nullptr;
  }
  std::memset(address, 0, static_cast<std::size_t>(bytes));
  return static_cast<std::byte*>(address);
}

void give_pinned_back(std::byte* address, Bytes bytes) {
  if (bytes < kHugePage) {
    cudaFreeHost(address);
    return;
  }
  cudaHostUnregister(address);
  std::free(address);
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
