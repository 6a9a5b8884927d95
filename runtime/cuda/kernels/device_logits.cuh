// Scaled q . K of one request over its rows on the device: the device's half of logit-parallel attention.
#pragma once

#include "runtime/cuda/kernels/launch.cuh"

namespace hybridgen::cuda {

struct DeviceLogitsArgs {
  const OpParams* op = nullptr;  // over the newest op->tokens of op->context tokens
  KvStore kv;                    // v is not read
  HeadShape heads;
  KvType kv_type = KvType::f16;
  const float* q = nullptr;  // [query_heads][head_dim], turned
  float scale = 0;           // 1 / sqrt(head_dim)
  int splits = 1;
  float* scores = nullptr;  // [query_heads][stride], in token order
  std::int64_t stride = 0;
};
void device_logits(const DeviceLogitsArgs& args, cudaStream_t stream);

}  // namespace hybridgen::cuda
