// Types of the kernels' launch functions. Every function only enqueues on the stream, allocates nothing, and
// stops on a refused launch (check_launch). A launch's arguments are fixed by the step's structure; sizes
// come from device memory (step_params.hpp).
#pragma once

#include <cuda_runtime_api.h>

#include "runtime/cuda/logic/host_device.hpp"
#include "runtime/cuda/step_params.hpp"
#include "runtime/kernels/kv_type.hpp"

namespace hybridgen::cuda {

using kernels::Half;
using kernels::KvType;

// Throws std::runtime_error that names `what` when a CUDA call failed: the run ends with exit status 1.
void check(cudaError_t error, const char* what);
inline void check_launch(const char* kernel) {
  check(cudaGetLastError(), kernel);
}

// True where a kernel can begin before the one before it has ended (chained.cuh); asked once.
bool card_chains();
int card_multiprocessors();  // asked once

// Heads of attention: G = query_heads / kv_heads, at most kMostGroup; head_dim 64 or 128.
struct HeadShape {
  int query_heads = 0;
  int kv_heads = 0;
  int head_dim = 0;
  HYBRIDGEN_HD int group() const { return query_heads / kv_heads; }
};
inline constexpr int kMostGroup = 8;

}  // namespace hybridgen::cuda
