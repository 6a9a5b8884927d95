#include "runtime/host/tier_memory.hpp"

#include <sys/mman.h>

#include <cstring>

#include "core/base/error.hpp"

namespace hybridgen {

MemorySource system_memory() {
  return {"the operating system",
          [](Bytes bytes) -> std::byte* {
            const auto size = static_cast<std::size_t>(bytes);
            void* address = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            if (address == MAP_FAILED) return nullptr;
            // Fewer TLB misses in the scans; a kernel that has no huge pages ignores it.
            madvise(address, size, MADV_HUGEPAGE);
            std::memset(address, 0, size);
            return static_cast<std::byte*>(address);
          },
          [](std::byte* address, Bytes bytes) { munmap(address, static_cast<std::size_t>(bytes)); }};
}

TierMemory::~TierMemory() {
  for (const Block& block : blocks_) source_.give_back(block.address, block.bytes);
}

std::byte* TierMemory::allocate(Bytes bytes) {
  if (bytes == 0) return nullptr;
  std::byte* address = source_.take(bytes);
  if (address == nullptr) {
    throw NotAvailable("tier " + name_ + ": " + source_.giver + " refused " + std::to_string(bytes) +
                       " bytes; use a smaller context or batch");
  }
  blocks_.push_back({address, bytes});
  allocated_ += bytes;
  return address;
}

}  // namespace hybridgen
