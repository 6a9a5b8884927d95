// Greedy sampling: the index of the largest logit, the lowest such index on ties, appended to the request's
// tokens in device memory and told to the host.
#pragma once

#include "runtime/cuda/kernels/launch.cuh"

namespace hybridgen::cuda {

struct ArgmaxArgs {
  const OpParams* op = nullptr;
  const float* logits = nullptr;  // [vocab]
  int vocab = 0;
  // Teacher forcing: what stands at op->generated replaces the sampled token; null: greedy.
  const std::int32_t* forced = nullptr;
  std::int32_t* tokens = nullptr;   // the request's; written at position op->context
  std::int32_t* to_host = nullptr;  // mapped host memory: the token
};
void argmax(const ArgmaxArgs& args, cudaStream_t stream);

}  // namespace hybridgen::cuda
