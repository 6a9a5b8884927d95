// Holds the choice of host rows in one layer against the layer's true queries: what `hybridgen accuracy`
// records. Not part of any timing.
#pragma once

#include "core/machine/model_shape.hpp"
#include "runtime/host/request_buffers.hpp"
#include "runtime/host/tokens.hpp"

namespace hybridgen {

// One decoded token's attention in one layer, as the device lane finds it before its one softmax.
struct ProbedAttention {
  const ModelShape& shape;
  kernels::KvType kv_type;
  const RequestBuffers& request;
  const Exchange& exchange;  // rows, counts and the query that chose, in the order of the heads
  int layer = 0;
  const float* queries = nullptr;  // [query_heads][head_dim], the true ones
  Tokens device_tokens = 0;        // whose true logits lie in request.device_scores
  Tokens first = 0;                // of the host tokens that were scanned; chosen rows count from here
  Tokens scanned = 0;
};

AttentionSample probe_attention(const ProbedAttention& attention);

}  // namespace hybridgen
