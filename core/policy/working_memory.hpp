// What kernels work in, besides what is kept from step to step: an estimate from the model's sizes that no
// executor has to share, but both real ones come close to.
#pragma once

#include "core/machine/model_shape.hpp"
#include "core/residency/memory_plan.hpp"

namespace hybridgen {

inline constexpr Bytes kKeptRowBytes = 4 + 4;  // of a kept row: its position, its mass

struct WorkingMemory {
  Bytes activations = 0;       // device: hidden states of a step's query tokens, and the logits of its rows
  Bytes device_workspace = 0;  // device: attention logits of the device's tokens; what kept rows are known by
  Bytes host_workspace = 0;  // host: logits of the host's tokens (and margins), the selected rows, the query
};

// In fp32, as the executors compute: per query token the residual stream, Q, K and V, the attended heads and
// the rotary angles; per query token of a tile the normed vector, a product and the FFN's first product; per
// request the vocabulary's logits; one attention logit per query head and cached token, of every request.
// Working one layer ahead adds the predicted queries of two layers, and where they are corrected the device's
// logits of both queries.
// query_tokens: of the largest step, which is the longest prompt; requests: that decode together.
WorkingMemory working_memory(const ModelShape& model, const MemoryPlan& plan, Tokens query_tokens,
                             std::int64_t requests);

}  // namespace hybridgen
