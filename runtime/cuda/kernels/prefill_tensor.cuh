// Causal attention of many query tokens over fp16 KV, on tensor cores: prefill_attend calls it for that type.
#pragma once

#include "runtime/cuda/kernels/prefill_attend.cuh"

namespace hybridgen::cuda {

// As prefill_attend, for args.kv_type == KvType::f16. Queries and softmax weights enter each product as the
// sum of two fp16 values, K and V as they are, sums are fp32: results are as exact as fp32's.
void prefill_tensor(const PrefillAttendArgs& args, std::int64_t query_tokens, cudaStream_t stream);

}  // namespace hybridgen::cuda
