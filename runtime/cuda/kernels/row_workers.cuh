// Who reads which row: a worker is a group of neighbouring lanes that holds one row, 16 bytes per lane, so
// that a warp's load covers 512 bytes of consecutive rows. Device code only.
#pragma once

#include "runtime/cuda/kernels/device.cuh"
#include "runtime/cuda/logic/split.hpp"

namespace hybridgen::cuda {

inline constexpr int kRowThreads = 128;  // of a block
inline constexpr int kRowTile = 4;       // rows that a worker has under way

template <class T, int kDim>
struct RowWorkers {
  static constexpr int kElements = Vector<T>::kElements;  // of a row, per lane
  static constexpr int kLanes = kDim / kElements;         // per row
  static constexpr int kCount = kRowThreads / kLanes;     // workers of a block
  static_assert(kLanes <= 32 && 32 % kLanes == 0);

  static __device__ int worker() { return threadIdx.x / kLanes; }
  static __device__ int lane() { return threadIdx.x % kLanes; }
  // The lane's part of row `slot`.
  static __device__ const T* at(const std::byte* rows, std::int64_t slot) {
    return reinterpret_cast<const T*>(rows) + slot * kDim + lane() * kElements;
  }
  // The lane's part of a query head in fp32, scaled.
  static __device__ void load_query(const float* q, float scale, float (&x)[kElements]) {
#pragma unroll
    for (int i = 0; i < kElements; ++i) x[i] = q[lane() * kElements + i] * scale;
  }
  // q . k in all lanes of the worker.
  static __device__ float dot(const float (&q)[kElements], const float (&k)[kElements]) {
    float sum = 0;
#pragma unroll
    for (int i = 0; i < kElements; ++i) sum += q[i] * k[i];
    return sum_over<kLanes>(sum);
  }
};

}  // namespace hybridgen::cuda
