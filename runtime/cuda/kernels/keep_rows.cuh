// After a prompt: which of its rows stay on the card, per KV head, and their way from the staging buffer to
// the segment, where they take the first slots in token order (the rules: runtime/host/keep_rules.hpp).
#pragma once

#include "core/step/op.hpp"
#include "runtime/cuda/kernels/kept_store.cuh"
#include "runtime/cuda/kernels/launch.cuh"

namespace hybridgen::cuda {

struct KeepRowsArgs {
  const OpParams* op = nullptr;  // op->rows_per_head of op->tokens tokens stay
  SelectRule rule = SelectRule::sink_window;
  KeepRule keep;
  const float* mass = nullptr;  // [kv_head][stride], of the prompt's tokens; not read for sink_window
  std::int64_t stride = 0;
  float* pooled = nullptr;  // [kv_head][stride], workspace
  KeptStore kept;
  KvStore from;  // staging: position p lies in slot p
  KvStore to;
  int kv_heads = 0;
  int row_bytes = 0;  // a multiple of 16
};
void keep_rows(const KeepRowsArgs& args, int blocks, cudaStream_t stream);

}  // namespace hybridgen::cuda
