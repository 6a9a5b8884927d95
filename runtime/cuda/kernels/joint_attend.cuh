// Logit-parallel attention of one request in one layer: ONE softmax per query head over the device's logits
// and the host's chosen ones, and the weighted sum of V rows from the device's store and from the packed
// rows.
#pragma once

#include "runtime/cuda/kernels/launch.cuh"
#include "runtime/cuda/kernels/partials.hpp"
#include "runtime/cuda/logic/joint_rows.hpp"

namespace hybridgen::cuda {

struct JointAttendArgs {
  const OpParams* op = nullptr;  // the device's rows: the newest op->tokens of op->context tokens
  KvStore kv;                    // k is not read
  HeadShape heads;
  KvType kv_type = KvType::f16;
  const float* device_scores = nullptr;  // [query_heads][stride], from device_logits
  std::int64_t stride = 0;
  PackedOffsets offsets;               // which packed rows are a head's; on the device
  const float* host_scores = nullptr;  // query head after query head
  const std::byte* packed = nullptr;   // V rows, [packed row][head_dim]
  PartialSpace space;                  // arrived: by query head, f16: by KV head
  int splits = 1;                      // of all rows of a query head
  int packed_splits = 0;  // of them, those of packed rows, where the two kinds have blocks of their own (f16)
  float* out = nullptr;   // [query_heads][head_dim]
  float* lse = nullptr;   // [query_heads], log-sum-exp of the logits; null: not wanted
};
void joint_attend(const JointAttendArgs& args, cudaStream_t stream);

}  // namespace hybridgen::cuda
