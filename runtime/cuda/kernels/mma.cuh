// One step of the tensor cores with its operands in registers, so that rows go from memory into it without
// shared memory between. Device code only.
#pragma once

#include <cuda_fp16.h>

#include <cstring>

namespace hybridgen::cuda {

// d += a b: 16 x 16 times 16 x 8 of fp16, sums in fp32. Lane 4 g + t holds, of
//   a: rows g, g + 8 at columns 2t, 2t + 1, then both at 2t + 8, 2t + 9, in pairs
//   b: column g at rows 2t, 2t + 1, then 2t + 8, 2t + 9
//   d: row g at columns 2t, 2t + 1, then row g + 8.
// (PTX ISA, mma.m16n8k16.)
#if defined(__CUDACC__)
__device__ inline void mma_16x8x16(float (&d)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
#else
using simt::mma_16x8x16;  // an emulated card's
#endif

// Two fp16 numbers as an operand's register holds them.
__device__ inline unsigned half_pair(__half low, __half high) {
  const __half2 pair = __halves2half2(low, high);
  unsigned bits;
  memcpy(&bits, &pair, sizeof bits);
  return bits;
}

// Two fp32 numbers as two such registers, whose sum they are to 2^-22 of each or 2^-25, whichever is more.
struct SplitPair {
  unsigned high = 0;
  unsigned low = 0;
};
__device__ inline SplitPair split_pair(float x, float y) {
  const __half x_high = __float2half_rn(x);
  const __half y_high = __float2half_rn(y);
  return {half_pair(x_high, y_high),
          half_pair(__float2half_rn(x - __half2float(x_high)), __float2half_rn(y - __half2float(y_high)))};
}

}  // namespace hybridgen::cuda
