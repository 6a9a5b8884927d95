// A GPU's threads on one CPU thread, so that kernel sources can be run where there is no GPU: every thread of
// a block is a fiber, __syncthreads and shuffles are where fibers meet. It shows wrong indices, wrong sums
// and missing barriers between fibers; it knows nothing of memory order, occupancy or speed. Included in
// front of a translated kernel.
#pragma once

#include <cuda_fp16.h>
#include <cuda_runtime_api.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <string>

#undef __global__
#undef __device__
#undef __host__
#undef __shared__
#undef __launch_bounds__
#undef __align__
#define __global__
#define __device__
#define __host__
#define __shared__ static  // blocks run one after the other
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))

namespace hybridgen::simt {

// Enqueues the kernel; it then runs once per thread of each block, and throws when fibers wait for each other
// for ever.
void launch(dim3 grid, dim3 block, cudaStream_t stream, std::function<void()> kernel);

uint3 thread_index();
uint3 block_index();
dim3 grid_size();
dim3 block_size();
void meet_block();

constexpr std::size_t kSlotBytes = 64;
// Hands `bytes` of this lane to the warp, waits for its other lanes, and returns where lane 0's lie; lane i's
// lie i * kSlotBytes behind. Valid until the lane's next exchange but one.
const std::byte* exchange(const void* mine, std::size_t bytes);

inline void check_aligned(const void* address, std::size_t bytes) {
  if (reinterpret_cast<std::uintptr_t>(address) % bytes != 0) throw std::logic_error("a misaligned access");
}

template <class T>
T load_aligned(const T* address) {
  check_aligned(address, sizeof(T));
  return *address;
}

template <class T>
T shuffle_xor(T value, int step) {
  const std::byte* slots = exchange(&value, sizeof(T));
  T other;
  std::memcpy(&other, slots + ((thread_index().x % 32) ^ static_cast<unsigned>(step)) * kSlotBytes,
              sizeof(T));
  return other;
}

template <class T>
T shuffle(T value, int lane) {
  const std::byte* slots = exchange(&value, sizeof(T));
  T other;
  std::memcpy(&other, slots + static_cast<unsigned>(lane) % 32 * kSlotBytes, sizeof(T));
  return other;
}

inline float half_at(unsigned pair, unsigned upper) {
  const auto bits = static_cast<std::uint16_t>(pair >> 16 * upper);
  return __half2float(__half(__half_raw{bits}));
}

// kernels/mma.cuh says which lane holds what.
inline void mma_16x8x16(float (&d)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  const unsigned mine[6] = {a[0], a[1], a[2], a[3], b0, b1};
  const std::byte* slots = exchange(mine, sizeof mine);
  const auto word = [&](unsigned lane, unsigned i) {
    unsigned bits;
    std::memcpy(&bits, slots + lane * kSlotBytes + i * sizeof bits, sizeof bits);
    return bits;
  };
  const unsigned lane = thread_index().x % 32;
  for (unsigned e = 0; e < 4; ++e) {
    const unsigned row = lane / 4 + e / 2 * 8;
    const unsigned column = lane % 4 * 2 + e % 2;
    float sum = d[e];
    for (unsigned k = 0; k < 16; ++k) {
      const unsigned t = k % 8 / 2;
      sum += half_at(word(row % 8 * 4 + t, row / 8 + k / 8 * 2), k % 2) *
             half_at(word(column * 4 + t, 4 + k / 8), k % 2);
    }
    d[e] = sum;
  }
}

inline unsigned ballot(bool is) {
  const std::byte* slots = exchange(&is, sizeof is);
  unsigned those = 0;
  for (unsigned lane = 0; lane < 32; ++lane) {
    bool its;
    std::memcpy(&its, slots + lane * kSlotBytes, sizeof its);
    those |= static_cast<unsigned>(its) << lane;
  }
  return those;
}

}  // namespace hybridgen::simt

#define threadIdx hybridgen::simt::thread_index()
#define blockIdx hybridgen::simt::block_index()
#define gridDim hybridgen::simt::grid_size()
#define blockDim hybridgen::simt::block_size()
#define __syncthreads hybridgen::simt::meet_block
#define __shfl_xor_sync(mask, value, step) hybridgen::simt::shuffle_xor(value, step)
#define __shfl_sync(mask, value, lane) hybridgen::simt::shuffle(value, lane)
#define __ballot_sync(mask, is) hybridgen::simt::ballot(is)
#define __popc __builtin_popcount
#define __ldcs(address) hybridgen::simt::load_aligned(address)
#define __ldcg(address) hybridgen::simt::load_aligned(address)
#define __threadfence() static_cast<void>(0)

inline unsigned atomicAdd(unsigned* address, unsigned value) {
  const unsigned before = *address;
  *address += value;
  return before;
}
inline int atomicAdd(int* address, int value) {
  const int before = *address;
  *address += value;
  return before;
}
inline float rsqrtf(float x) {
  return 1.0F / std::sqrt(x);
}
inline float uint_as_float(unsigned bits) {
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}
#define __uint_as_float uint_as_float
inline unsigned float_as_uint(float x) {
  unsigned bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}
#define __float_as_uint float_as_uint
inline unsigned byte_perm(unsigned low, unsigned high, unsigned selector) {
  const std::uint64_t bytes = static_cast<std::uint64_t>(high) << 32 | low;
  unsigned result = 0;
  for (unsigned i = 0; i < 4; ++i)
    result |= static_cast<unsigned>(bytes >> 8 * (selector >> 4 * i & 7U) & 0xffU) << 8 * i;
  return result;
}
#define __byte_perm byte_perm
using std::min;

#define __syncwarp() static_cast<void>(hybridgen::simt::exchange(nullptr, 0))

// Matrix fragments: lane l holds elements l * n .. l * n + n - 1 in row order; real hardware deals them
// otherwise, and kernels may not care.
namespace nvcuda::wmma {

struct matrix_a {};
struct matrix_b {};
struct accumulator {};
struct row_major {};
struct col_major {};
namespace precision {
struct tf32 {};
}  // namespace precision
enum layout_t { mem_row_major };

inline float as_float(float x) {
  return x;
}
inline float as_float(__half x) {
  return __half2float(x);
}

template <class Use, int kM, int kN, int kK, class T, class Layout = row_major>
struct fragment {
  static constexpr unsigned kRows = std::is_same_v<Use, matrix_b> ? kK : kM;
  static constexpr unsigned kCols = std::is_same_v<Use, matrix_a> ? kK : kN;
  static constexpr unsigned kDepth = kK;
  static constexpr bool kByColumns = std::is_same_v<Layout, col_major>;
  static constexpr int num_elements = kRows * kCols / 32;
  float x[num_elements];
};

inline unsigned lane() {
  return threadIdx.x % 32;
}

template <class Fragment>
void fill_fragment(Fragment& to, float value) {
  std::fill_n(to.x, Fragment::num_elements, value);
}

template <class Fragment, class T>
void load_matrix_sync(Fragment& to, const T* from, unsigned stride) {
  hybridgen::simt::check_aligned(from, 32);
  for (unsigned e = 0; e < Fragment::num_elements; ++e) {
    const unsigned i = lane() * Fragment::num_elements + e;
    const unsigned row = i / Fragment::kCols;
    const unsigned column = i % Fragment::kCols;
    to.x[e] = as_float(Fragment::kByColumns ? from[column * stride + row] : from[row * stride + column]);
  }
}

template <class Fragment>
void load_matrix_sync(Fragment& to, const float* from, unsigned stride, layout_t) {
  load_matrix_sync(to, from, stride);
}

template <class Fragment>
void store_matrix_sync(float* to, const Fragment& from, unsigned stride, layout_t) {
  hybridgen::simt::check_aligned(to, 32);
  for (unsigned e = 0; e < Fragment::num_elements; ++e) {
    const unsigned i = lane() * Fragment::num_elements + e;
    to[i / Fragment::kCols * stride + i % Fragment::kCols] = from.x[e];
  }
}

template <class A, class B, class C>
void mma_sync(C& to, const A& a, const B& b, const C& c) {
  float mine[A::num_elements + B::num_elements];
  static_assert(sizeof mine <= hybridgen::simt::kSlotBytes);
  std::copy_n(a.x, A::num_elements, mine);
  std::copy_n(b.x, B::num_elements, mine + A::num_elements);
  const std::byte* slots = hybridgen::simt::exchange(mine, sizeof mine);
  const auto element = [&](unsigned i, unsigned per_lane, unsigned offset) {
    float x;
    std::memcpy(&x,
                slots + i / per_lane * hybridgen::simt::kSlotBytes + (offset + i % per_lane) * sizeof(float),
                sizeof x);
    return x;
  };
  for (unsigned e = 0; e < C::num_elements; ++e) {
    const unsigned i = lane() * C::num_elements + e;
    float sum = c.x[e];
    for (unsigned k = 0; k < A::kDepth; ++k) {
      sum += element(i / C::kCols * A::kCols + k, A::num_elements, 0) *
             element(k * B::kCols + i % C::kCols, B::num_elements, A::num_elements);
    }
    to.x[e] = sum;
  }
}

}  // namespace nvcuda::wmma
