// Token ids to hidden states, and the position of every query token, once per step: the angles by which every
// layer turns q and k, or a row of a learned table that joins the embedding.
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
  const double* frequencies = nullptr;  // [head_dim / 2], radians per position; null: nothing is turned
  const Half* positions = nullptr;      // [row][hidden], a learned table; null: there is none
  int position_offset = 0;              // position p has row p + offset
  float* out = nullptr;                 // [query token][hidden]
  float* cosine = nullptr;              // [query token][head_dim / 2]
  float* sine = nullptr;
};
// query_tokens: blocks, one per query token of the step.
void embed(const EmbedArgs& args, std::int64_t query_tokens, cudaStream_t stream);

}  // namespace hybridgen::cuda
