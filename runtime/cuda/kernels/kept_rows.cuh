// What attention over kept rows asks for beside logits and softmax: sinks that see the query at another
// place, and the mass that each row was given.
#pragma once

#include "runtime/cuda/kernels/kept_store.cuh"
#include "runtime/cuda/kernels/launch.cuh"

namespace hybridgen::cuda {

// The first rows once more, by the query turned back to its place in the cache: rotary logits depend on
// distances alone. Nothing where cache and text agree.
struct SinkLogitsArgs {
  const OpParams* op = nullptr;  // op->tokens rows; the query stands at op->first_position in the text
  std::int64_t sinks = 0;
  KvStore kv;
  HeadShape heads;
  KvType kv_type = KvType::f16;
  const float* q = nullptr;             // [query_heads][head_dim], turned to its place in the text
  const double* frequencies = nullptr;  // [head_dim / 2]
  float scale = 0;
  float* scores = nullptr;  // [query_heads][stride]
  std::int64_t stride = 0;
};
void sink_logits(const SinkLogitsArgs& args, cudaStream_t stream);

// mass[kv_head][n] += the weights of row n, summed over the group.
struct AddMassArgs {
  const OpParams* op = nullptr;  // op->tokens rows
  HeadShape heads;
  const float* scores = nullptr;  // [query_heads][stride]
  std::int64_t stride = 0;
  const float* lse = nullptr;  // [query_heads]
  KeptStore kept;
};
void add_mass(const AddMassArgs& args, int blocks, cudaStream_t stream);

}  // namespace hybridgen::cuda
