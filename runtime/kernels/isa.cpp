#include "runtime/kernels/isa.hpp"

#include <atomic>

#include "core/base/check.hpp"

#if !defined(__x86_64__)
#error "the host kernels are written for x86-64"
#endif

namespace hybridgen::kernels {
namespace {

constexpr int kNotForced = -1;
std::atomic<int> forced_isa{kNotForced};

Isa detect() {
  if (supports(Isa::avx512)) return Isa::avx512;
  if (supports(Isa::avx2)) return Isa::avx2;
  return Isa::scalar;
}

}  // namespace

const char* name_of(Isa isa) {
  switch (isa) {
    case Isa::avx512:
      return "avx512";
    case Isa::avx2:
      return "avx2";
    case Isa::scalar:
      break;
  }
  return "scalar";
}

bool supports(Isa isa) {
  // The builtins also ask the operating system whether it saves the wide registers.
  const bool avx2 =
      __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
  switch (isa) {
    case Isa::avx512:
      return avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    case Isa::avx2:
      return avx2;
    case Isa::scalar:
      break;
  }
  return true;
}

Isa best_isa() {
  static const Isa kBest = detect();
  return kBest;
}

Isa active_isa() {
  const int forced = forced_isa.load(std::memory_order_relaxed);
  return forced == kNotForced ? best_isa() : static_cast<Isa>(forced);
}

void force_isa(std::optional<Isa> isa) {
  if (isa) HG_CHECK(supports(*isa), "this machine has no " << name_of(*isa));
  forced_isa.store(isa ? static_cast<int>(*isa) : kNotForced, std::memory_order_relaxed);
}

}  // namespace hybridgen::kernels
