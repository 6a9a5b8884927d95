// Token ids to hidden states, and the rotary angles of every query token, once per step.
#pragma once

#include "runtime/cuda/kernels/launch.cuh"

namespace hybridgen::cuda {

struct EmbedArgs {
  const StepParams* step = nullptr;
  const RowParams* rows = nullptr;
  const std::int32_t* tokens = nullptr;  // [request][token_stride], prompt and generated ids
  std::int64_t token_stride = 0;
  const Half* embedding = nullptr;  // [vocab][hidden]
  int hidden = 0;
  int head_dim = 0;
  double rope_theta = 0;
  float* out = nullptr;     // [query token][hidden]
  float* cosine = nullptr;  // [query token][head_dim / 2]
  float* sine = nullptr;
};
// query_tokens: blocks, one per query token of the step.
void embed(const EmbedArgs& args, std::int64_t query_tokens, cudaStream_t stream);

}  // namespace hybridgen::cuda
