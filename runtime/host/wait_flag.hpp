// How threads of this machine wait for each other: they spin briefly, then sleep (but see Team::stay_alert).
#pragma once

#include <atomic>
#include <cstdint>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace hybridgen {

inline void cpu_relax() {
#if defined(__x86_64__)
  _mm_pause();
#endif
}

// Waits until `value` is no longer `old`; returns what it is.
inline std::uint32_t wait_while(const std::atomic<std::uint32_t>& value, std::uint32_t old, int spins) {
  for (int i = 0; i < spins; ++i) {
    const std::uint32_t now = value.load(std::memory_order_acquire);
    if (now != old) return now;
    cpu_relax();
  }
  value.wait(old, std::memory_order_acquire);
  return value.load(std::memory_order_acquire);
}

// A counter that one side raises and others wait for. It knows how many sleep, so that raising it costs no
// call into the system while nobody does: the standard library keeps that count in a table that counters
// share, and a sleeper on one would cost the raisers of all others a call each.
class alignas(64) Signal {
 public:
  explicit Signal(std::uint32_t value = 0) : value_(value) {}

  std::uint32_t get() const { return value_.load(std::memory_order_acquire); }
  void set(std::uint32_t value) {
    value_.store(value);
    wake();
  }
  // Returns what it was.
  std::uint32_t add(std::uint32_t amount) {
    const std::uint32_t before = value_.fetch_add(amount);
    wake();
    return before;
  }
  // Waits until it is no longer `old`; returns what it is.
  std::uint32_t wait_while(std::uint32_t old, int spins) const {
    for (int i = 0; i < spins; ++i) {
      const std::uint32_t now = get();
      if (now != old) return now;
      cpu_relax();
    }
    sleepers_.fetch_add(1);  // before the value is looked at again: a raiser sees one of the two
    value_.wait(old);
    sleepers_.fetch_sub(1);
    return get();
  }
  // Waits until it has come to `least`; counts may wrap around.
  void wait_for(std::uint32_t least, int spins) const {
    for (std::uint32_t now = get(); static_cast<std::int32_t>(now - least) < 0;) now = wait_while(now, spins);
  }

 private:
  void wake() {
    if (sleepers_.load() != 0) value_.notify_all();
  }

  std::atomic<std::uint32_t> value_;
  mutable std::atomic<std::uint32_t> sleepers_{0};
};

}  // namespace hybridgen
