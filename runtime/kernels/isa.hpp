// Which instruction set the kernels run on: the one place of dispatch. Every kernel has a scalar variant
// (plain loops, the reference of the tests), one for AVX2+FMA+F16C and one for AVX-512 F/BW/DQ/VL (of int8
// rows AVX2 serves for both). `amx` is the last and the tile multiply of bf16, which only the logits of bf16
// rows use.
#pragma once

#include <optional>

namespace hybridgen::kernels {

enum class Isa { scalar, avx2, avx512, amx };

const char* name_of(Isa isa);

// The machine (and its operating system) can run this variant. `scalar` always can.
bool supports(Isa isa);

// The widest supported one, detected once.
Isa best_isa();

// What the kernels use now: the forced one, else best_isa(). Read once per kernel call; safe from any thread.
Isa active_isa();

// For tests and benches: use this variant from now on, in all threads; nullopt returns to the best. Asking
// for one that the machine does not support is our bug (InternalError).
void force_isa(std::optional<Isa> isa);

// The variant of a kernel to call now.
template <class Function>
Function* pick(Function* scalar, Function* avx2, Function* avx512) {
  switch (active_isa()) {
    case Isa::amx:
    case Isa::avx512:
      return avx512;
    case Isa::avx2:
      return avx2;
    case Isa::scalar:
      break;
  }
  return scalar;
}

}  // namespace hybridgen::kernels
