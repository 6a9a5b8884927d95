// K and V rows of a token range from one store to another, all KV heads: device to host (offload), host to
// device (load), staging to ring (keep). Host stores are mapped memory. Each token lies in the slot of its
// position in both stores.
#pragma once

#include "runtime/cuda/kernels/launch.cuh"

namespace hybridgen::cuda {

struct CopyRowsArgs {
  const OpParams* op = nullptr;  // tokens [op->first_token, op->first_token + op->tokens)
  KvStore from;
  KvStore to;
  int kv_heads = 0;
  int row_bytes = 0;  // one row of one head; a multiple of 16
};
// blocks: enough to keep the link or the memory busy; any number is correct.
void copy_rows(const CopyRowsArgs& args, int blocks, cudaStream_t stream);

}  // namespace hybridgen::cuda
