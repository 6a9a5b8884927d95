// The token ids of a run: what only the executor knows. Policies see counts.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "core/base/ids.hpp"
#include "core/base/units.hpp"

namespace hybridgen {

// What a real run is fed with.
struct TokenFeed {
  std::vector<std::vector<std::int32_t>> prompts;  // by request
  // Teacher forcing: by request, the tokens that replace the first sampled ones, in order; greedy sampling
  // behind them, and where there are none.
  std::vector<std::vector<std::int32_t>> forced;
  std::vector<std::int32_t> end_tokens;  // that end a request
  // Called on the device lane with the logits over the vocabulary that follow the token at `position`.
  std::function<void(RequestId request, Tokens position, std::span<const float> logits)> on_logits;
  // Called on the device lane with a layer's queries after rotation, of all the step's query tokens; those of
  // a token are query_heads x head_dim floats, `stride` floats behind the last token's.
  std::function<void(int layer, const float* queries, std::int64_t stride, Tokens tokens)> on_queries;
};

}  // namespace hybridgen
