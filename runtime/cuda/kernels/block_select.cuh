// Exact selection of the k largest of n keys by one block: the k-th largest is found digit by digit from
// histograms in shared memory, then the chosen ones are written in ascending order of their index. The same
// rows as runtime/kernels/select.hpp chooses, whatever the number of threads. Device code only.
#pragma once

#include <cstdint>

#include "runtime/cuda/kernels/device.cuh"

namespace hybridgen::cuda {

inline constexpr int kSelectThreads = 256;

enum class Ties { older, younger };  // of equal keys the smaller or the larger index first

// Unsigned integers in the order of the floats; -0 is 0.
__device__ inline unsigned ordered(float x) {
  const unsigned bits = __float_as_uint(x + 0.0F);
  return (bits & 0x80000000U) != 0 ? ~bits : bits | 0x80000000U;
}

struct SelectShared {
  int count[256];
  int warps[kSelectThreads / 32];
  unsigned digit;
  int above;  // keys above those that share all digits so far
};

// Of the block's threads for which `is` holds: how many come before this one, and how many there are.
struct RankInBlock {
  int before = 0;
  int all = 0;
};
__device__ inline RankInBlock rank_in_block(bool is, int* warps) {
  const unsigned those = __ballot_sync(kAllLanes, is);
  const unsigned lane = threadIdx.x % 32;
  __syncthreads();  // an earlier rank has been read
  if (lane == 0) warps[threadIdx.x / 32] = __popc(those);
  __syncthreads();
  RankInBlock rank;
  rank.before = __popc(those & ((1U << lane) - 1));
  for (int w = 0; w < kSelectThreads / 32; ++w) {
    if (w < static_cast<int>(threadIdx.x) / 32) rank.before += warps[w];
    rank.all += warps[w];
  }
  return rank;
}

// The digit of the k-th largest key among those that share the digits above it, by thread 0.
__device__ inline void find_digit(SelectShared& shared, int k) {
  int above = shared.above;
  unsigned digit = 255;
  while (digit > 0 && above + shared.count[digit] < k) above += shared.count[digit--];
  shared.digit = digit;
  shared.above = above;
}

// Calls take(index, rank) for the k largest of key(0) .. key(n - 1), 0 <= k <= n. All threads of a block of
// kSelectThreads call it, with the same arguments.
template <class Key, class Take>
__device__ void select_largest(std::int64_t n, int k, Ties ties, SelectShared& shared, const Key& key,
                               const Take& take) {
  if (k == 0) return;
  unsigned prefix = 0;
  if (threadIdx.x == 0) shared.above = 0;
  for (int shift = 24; shift >= 0; shift -= 8) {
    for (int i = threadIdx.x; i < 256; i += kSelectThreads) shared.count[i] = 0;
    __syncthreads();
    for (std::int64_t i = threadIdx.x; i < n; i += kSelectThreads) {
      const unsigned x = ordered(key(i));
      if (shift == 24 || x >> (shift + 8) == prefix) atomicAdd(&shared.count[x >> shift & 255U], 1);
    }
    __syncthreads();
    if (threadIdx.x == 0) find_digit(shared, k);
    __syncthreads();
    prefix = prefix << 8 | shared.digit;
  }
  const int equal = shared.count[prefix & 255U];
  const int wanted = k - shared.above;  // of the equal ones
  const int first = ties == Ties::older ? 0 : equal - wanted;
  int equal_seen = 0;
  int taken = 0;
  for (std::int64_t base = 0; base < n; base += kSelectThreads) {
    const std::int64_t i = base + threadIdx.x;
    const unsigned x = i < n ? ordered(key(i)) : 0;
    const bool ties_here = i < n && x == prefix;
    const RankInBlock among_equal = rank_in_block(ties_here, shared.warps);
    const int tie = equal_seen + among_equal.before;
    const bool chosen = i < n && (x > prefix || (ties_here && tie >= first && tie < first + wanted));
    const RankInBlock rank = rank_in_block(chosen, shared.warps);
    if (chosen) take(i, taken + rank.before);
    equal_seen += among_equal.all;
    taken += rank.all;
  }
  __syncthreads();
}

}  // namespace hybridgen::cuda
