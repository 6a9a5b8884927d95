// One vocabulary of vector operations in two namespaces, avx2 and avx512. A kernel's body is written once
// against it in an .inl file, which the kernel's .cpp includes once per namespace with HG_TARGET naming the
// instruction set. Every function of a body must carry HG_TARGET: the rest of the program is compiled for
// plain x86-64, so no wide instruction can leak into code that runs before dispatch. Included by the kernels'
// .cpp files only.
#pragma once

#include "runtime/kernels/simd_avx2.hpp"
#include "runtime/kernels/simd_avx512.hpp"
