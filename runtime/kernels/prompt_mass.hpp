// The attention mass of a prompt: how much its queries look at each of its tokens, for the G query heads that
// share one KV head. Blocked like prefill.hpp, with the same types, threads and scratch rules; two passes
// over K, the first for the sums of the softmax, so scratch does not grow with the context.
#pragma once

#include <cstdint>

#include "runtime/kernels/prefill.hpp"

namespace hybridgen::kernels {

// Floats of scratch that prompt_mass needs.
constexpr std::int64_t prompt_mass_scratch(int group, int head_dim) {
  const std::int64_t lines = kPrefillQueries * group;
  return kPrefillRows * head_dim + lines * (head_dim + kPrefillRows + 2);
}

// mass[j] for j < tokens: the causal softmax weight on row j of K, summed over queries first_query .. tokens
// - 1 and over the group. q[t * q_stride + g * head_dim + d] is of the token at position t; K holds positions
// 0, 1, 2, ... in order. Sums are fp32, added up in the order of the queries.
void prompt_mass(KvType type, const float* q, std::int64_t q_stride, std::int64_t first_query,
                 std::int64_t tokens, int group, int head_dim, const void* k, float scale, float* scratch,
                 float* mass);

}  // namespace hybridgen::kernels
