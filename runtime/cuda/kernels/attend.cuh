// Decode attention of one request in one layer over rows on the device: split-K over blocks, the G query
// heads of a KV head together, so that each K and V row is read once.
#pragma once

#include "runtime/cuda/kernels/launch.cuh"
#include "runtime/cuda/kernels/partials.hpp"

namespace hybridgen::cuda {

struct AttendArgs {
  const OpParams* op = nullptr;  // attends to the newest op->tokens of op->context tokens
  KvStore kv;
  HeadShape heads;
  KvType kv_type = KvType::f16;
  const float* q = nullptr;  // [query_heads][head_dim], turned
  float scale = 0;           // 1 / sqrt(head_dim)
  PartialSpace space;        // arrived: by KV head
  int splits = 1;
  float* out = nullptr;  // [query_heads][head_dim]
  float* lse = nullptr;  // [query_heads], log-sum-exp of the logits; null: not wanted
};
void attend(const AttendArgs& args, cudaStream_t stream);

}  // namespace hybridgen::cuda
