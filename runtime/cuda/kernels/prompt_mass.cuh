// How much a prompt's queries look at each of its tokens (runtime/kernels/prompt_mass.hpp). Two passes over
// K, the first for the sums of each query's softmax.
#pragma once

#include "runtime/cuda/kernels/launch.cuh"

namespace hybridgen::cuda {

struct PromptMassArgs {
  std::int64_t tokens = 0;
  std::int64_t first_query = 0;  // those before it do not count
  KvStore kv;                    // staging: position p lies in slot p; v is not read
  HeadShape heads;
  KvType kv_type = KvType::f16;
  const float* q = nullptr;  // [position][q_stride], the row's first token at position 0
  std::int64_t q_stride = 0;
  float scale = 0;
  float* lse = nullptr;   // [position][query_heads], workspace
  float* mass = nullptr;  // [kv_head][stride]
  std::int64_t stride = 0;
};
// Launched anew for every prompt: no graph holds it.
void prompt_mass(const PromptMassArgs& args, cudaStream_t stream);

}  // namespace hybridgen::cuda
