// The slot of a new token's row in a segment of kept rows: a free one, or that of the row which the rule lets
// go (runtime/host/keep_rules.hpp).
#pragma once

#include "core/step/op.hpp"
#include "runtime/cuda/kernels/kept_store.cuh"
#include "runtime/cuda/kernels/launch.cuh"

namespace hybridgen::cuda {

struct EvictRowArgs {
  const OpParams* op = nullptr;  // op->tokens rows with the new one; op->evict: no slot is free
  SelectRule rule = SelectRule::sink_window;
  KeepRule keep;
  KeptStore kept;
  int kv_heads = 0;
};
void evict_row(const EvictRowArgs& args, cudaStream_t stream);

}  // namespace hybridgen::cuda
