// What the card computes for a host that works one layer ahead (runtime/host/lookahead_ops.cpp): logits of
// the rows that a prediction chose, and each head's line from predicted to true logits.
#pragma once

#include "runtime/cuda/kernels/launch.cuh"
#include "runtime/cuda/logic/joint_rows.hpp"

namespace hybridgen::cuda {

// scores[row] = scale * q . k for every packed row of every query head.
struct RowLogitsArgs {
  PackedOffsets offsets;  // on the card
  HeadShape heads;
  KvType kv_type = KvType::f16;
  const float* q = nullptr;           // [query_heads][head_dim], turned
  const std::byte* packed = nullptr;  // K rows, [packed row][head_dim]
  float scale = 0;                    // 1 / sqrt(head_dim)
  int splits = 1;
  float* scores = nullptr;  // query head after query head
};
void row_logits(const RowLogitsArgs& args, cudaStream_t stream);

// Least squares of true over predicted logits, per query head, over the op's rows but the first `sinks`,
// whose keys lie far from all others. Sums in fp64.
struct FitLogitsArgs {
  const OpParams* op = nullptr;  // op->tokens rows
  HeadShape heads;
  std::int64_t sinks = 0;
  const float* predicted = nullptr;  // [query_heads][stride]
  const float* true_scores = nullptr;
  std::int64_t stride = 0;
  float* slope = nullptr;  // [query_heads]
  float* shift = nullptr;
};
void fit_logits(const FitLogitsArgs& args, cudaStream_t stream);

// scores of a query head become slope * score + shift.
struct CorrectScoresArgs {
  PackedOffsets offsets;
  HeadShape heads;
  const float* slope = nullptr;
  const float* shift = nullptr;
  float* scores = nullptr;
};
void correct_scores(const CorrectScoresArgs& args, cudaStream_t stream);

}  // namespace hybridgen::cuda
