#include "tests/support/allocation_count.hpp"

#include <atomic>
#include <cerrno>
#include <cstddef>

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define HG_COUNTS_ALLOCATIONS
#endif

namespace hybridgen::testing {
namespace {

thread_local std::int64_t* this_thread = nullptr;
std::atomic<std::int64_t> others{0};

[[maybe_unused]] void note() {
  if (this_thread != nullptr) {
    ++*this_thread;
  } else {
    others.fetch_add(1, std::memory_order_relaxed);
  }
}

}  // namespace

bool allocations_are_counted() {
#ifdef HG_COUNTS_ALLOCATIONS
  return true;
#else
  return false;
#endif
}

void count_this_thread(std::int64_t* counter) {
  this_thread = counter;
}

std::int64_t other_allocations() {
  return others.load();
}

}  // namespace hybridgen::testing

#ifdef HG_COUNTS_ALLOCATIONS
// glibc's own, under the names that it keeps for programs that put theirs in front.
extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* old, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);

void* malloc(std::size_t size) {
  hybridgen::testing::note();
  return __libc_malloc(size);
}
void* calloc(std::size_t count, std::size_t size) {
  hybridgen::testing::note();
  return __libc_calloc(count, size);
}
void* realloc(void* old, std::size_t size) {
  hybridgen::testing::note();
  return __libc_realloc(old, size);
}
void* memalign(std::size_t alignment, std::size_t size) {
  hybridgen::testing::note();
  return __libc_memalign(alignment, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) {
  return memalign(alignment, size);
}
int posix_memalign(void** result, std::size_t alignment, std::size_t size) {
  void* memory = memalign(alignment, size);
  if (memory == nullptr) return ENOMEM;
  *result = memory;
  return 0;
}
}
#endif
