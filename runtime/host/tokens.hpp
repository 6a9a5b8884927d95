// The token ids of a run: what only the executor knows. Policies see counts.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "core/base/ids.hpp"
#include "core/base/units.hpp"

namespace hybridgen {

// What choosing host rows did to one query token's attention in one layer, held against its true query. Means
// over the query heads.
struct AttentionSample {
  int layer = 0;
  double cosine = 1;         // of the query that chose with the true one
  double recall = 1;         // of the rows that the true query would have chosen, as many as were chosen
  double captured_mass = 1;  // of the softmax over all tokens: what lies on the device and the chosen rows
};

// What a real run is fed with.
struct TokenFeed {
  std::vector<std::vector<std::int32_t>> prompts;  // by request
  // Teacher forcing: by request, the tokens that replace the first sampled ones, in order; greedy sampling
  // behind them, and where there are none.
  std::vector<std::vector<std::int32_t>> forced;
  std::vector<std::int32_t> end_tokens;  // that end a request
  // Called on the device lane with the logits over the vocabulary that follow the token at `position`.
  std::function<void(RequestId request, Tokens position, std::span<const float> logits)> on_logits;
  // Called on the device lane with the input of every layer, [query tokens of the step][hidden].
  std::function<void(int layer, std::span<const float> hidden)> on_layer_input;
  // Called on the device lane for the attention of decoded tokens that joins host rows, layer by layer; of
  // every so many positions one. It scans the host's K once more: for studies of quality, not for timings.
  std::function<void(const AttentionSample&)> on_attention;
  Tokens attention_every = 1;
};

}  // namespace hybridgen
