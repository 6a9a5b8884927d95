#include "runtime/kernels/isa.hpp"

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>

#include "core/base/check.hpp"

#if !defined(__x86_64__)
#error "the host kernels are written for x86-64"
#endif

namespace hybridgen::kernels {
namespace {

constexpr int kNotForced = -1;
std::atomic<int> forced_isa{kNotForced};

// Of the tile unit: the processor has it, and Linux lets this process keep its registers, for which it must
// be asked once, before the first use (arch_prctl(2)).
bool amx_granted() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return false;
  constexpr unsigned kBf16 = 1u << 22, kTile = 1u << 24;
  if ((d & kBf16) == 0 || (d & kTile) == 0) return false;
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

Isa detect() {
  if (supports(Isa::amx)) return Isa::amx;
  if (supports(Isa::avx512)) return Isa::avx512;
  if (supports(Isa::avx2)) return Isa::avx2;
  return Isa::scalar;
}

}  // namespace

const char* name_of(Isa isa) {
  switch (isa) {
    case Isa::amx:
      return "amx";
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
    case Isa::amx: {
      static const bool kGranted = amx_granted();
      return kGranted && supports(Isa::avx512) && __builtin_cpu_supports("avx512bf16");
    }
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
