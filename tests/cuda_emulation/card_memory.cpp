#include "tests/cuda_emulation/card_memory.hpp"

#include <sys/mman.h>

#include <cstdint>
#include <mutex>
#include <stdexcept>

namespace hybridgen::simt {
namespace {

constexpr std::size_t kBytes = 1UL << 30;  // of addresses; pages come when they are touched
constexpr std::size_t kAlignment = 256;    // as a card's

// Allocations follow each other; the last one to go frees all.
struct Arena {
  std::byte* base = nullptr;
  std::size_t used = 0;
  std::size_t held = 0;
  std::mutex opening;  // copies of several threads may be under way
  int open = 0;        // guarded by it

  Arena() {
    void* address = mmap(nullptr, kBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (address == MAP_FAILED) throw std::runtime_error("no addresses for the emulated card's memory");
    base = static_cast<std::byte*>(address);
  }
  void protect(int how) const {
    if (used > 0 && mprotect(base, kBytes, how) != 0) throw std::runtime_error("mprotect");
  }
};
Arena& arena() {
  static Arena the_arena;
  return the_arena;
}

}  // namespace

void* take_card_memory(std::size_t bytes) {
  Arena& memory = arena();
  const std::size_t whole = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  if (whole > kBytes - memory.used) return nullptr;
  std::byte* address = memory.base + memory.used;
  memory.used += whole;
  ++memory.held;
  return address;
}

bool is_card_memory(const void* address) {
  const auto* at = static_cast<const std::byte*>(address);
  return arena().base <= at && at < arena().base + kBytes;
}

void give_card_memory() {
  Arena& memory = arena();
  if (--memory.held > 0) return;
  madvise(memory.base, kBytes, MADV_DONTNEED);
  memory.used = 0;
}

CardMemoryOpen::CardMemoryOpen() {
  const std::scoped_lock lock(arena().opening);
  if (arena().open++ == 0) arena().protect(PROT_READ | PROT_WRITE);
}

CardMemoryOpen::~CardMemoryOpen() {
  const std::scoped_lock lock(arena().opening);
  if (--arena().open == 0) arena().protect(PROT_NONE);
}

}  // namespace hybridgen::simt
