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

// Runs the kernel once per thread of each block. Throws when fibers wait for each other for ever.
void run(dim3 grid, dim3 block, const std::function<void()>& kernel);

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

}  // namespace hybridgen::simt

#define threadIdx hybridgen::simt::thread_index()
#define blockIdx hybridgen::simt::block_index()
#define gridDim hybridgen::simt::grid_size()
#define blockDim hybridgen::simt::block_size()
#define __syncthreads hybridgen::simt::meet_block
#define __shfl_xor_sync(mask, value, step) hybridgen::simt::shuffle_xor(value, step)
#define __ldcs(address) hybridgen::simt::load_aligned(address)
#define __ldcg(address) hybridgen::simt::load_aligned(address)
#define __threadfence() static_cast<void>(0)

inline unsigned atomicAdd(unsigned* address, unsigned value) {
  const unsigned before = *address;
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
using std::min;

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

template <class Use, int kM, int kN, int kK, class T, class Layout = void>
struct fragment {
  static constexpr int num_elements = std::is_same_v<Use, accumulator> ? 8 : 4;
  float x[num_elements];
};

inline unsigned lane() {
  return threadIdx.x % 32;
}

template <class Fragment>
void fill_fragment(Fragment& to, float value) {
  std::fill_n(to.x, Fragment::num_elements, value);
}

// a[16][8] row-major, or b[8][16] column-major: in memory the same.
template <class Fragment>
void load_matrix_sync(Fragment& to, const float* from, unsigned stride) {
  hybridgen::simt::check_aligned(from, 32);
  for (unsigned e = 0; e < 4; ++e) to.x[e] = from[(lane() * 4 + e) / 8 * stride + (lane() * 4 + e) % 8];
}

template <class Fragment>
void store_matrix_sync(float* to, const Fragment& from, unsigned stride, layout_t) {
  hybridgen::simt::check_aligned(to, 32);
  for (unsigned e = 0; e < 8; ++e) to[(lane() * 8 + e) / 16 * stride + (lane() * 8 + e) % 16] = from.x[e];
}

template <class A, class B, class C>
void mma_sync(C& to, const A& a, const B& b, const C& c) {
  float mine[8];
  std::copy_n(a.x, 4, mine);
  std::copy_n(b.x, 4, mine + 4);
  const std::byte* slots = hybridgen::simt::exchange(mine, sizeof mine);
  const auto element = [&](unsigned i, unsigned offset) {
    float x;
    std::memcpy(&x, slots + i / 4 * hybridgen::simt::kSlotBytes + (offset + i % 4) * sizeof(float), sizeof x);
    return x;
  };
  for (unsigned e = 0; e < 8; ++e) {
    const unsigned row = (lane() * 8 + e) / 16;
    const unsigned column = (lane() * 8 + e) % 16;
    float sum = c.x[e];
    for (unsigned k = 0; k < 8; ++k) sum += element(row * 8 + k, 0) * element(column * 8 + k, 4);
    to.x[e] = sum;
  }
}

}  // namespace nvcuda::wmma
