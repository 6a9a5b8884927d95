// The device's working memory for one step: hidden states of all rows of the batch, and scratch of its
// threads.
#pragma once

#include <vector>

#include "core/machine/model_shape.hpp"
#include "core/residency/memory_plan.hpp"

namespace hybridgen {

struct Activations {
  // most_tokens: query tokens of the largest step; most_rows: requests of the largest step.
  Activations(const ModelShape& model, const MemoryPlan& plan, Tokens most_tokens, int most_rows,
              int threads);

  std::vector<float> hidden;                // [tokens][hidden], the residual stream
  std::vector<float> normed;                // [tokens][hidden]
  std::vector<float> qkv;                   // [tokens][q_width + 2 kv_width]
  std::vector<float> predicted;             // [rows][q_width], of the layer to come, where it is guessed
  std::vector<float> attended;              // [tokens][q_width]
  std::vector<float> ffn_in;                // [tokens][ffn_in_width]
  std::vector<float> product;               // [tokens][hidden], of a projection before it joins the residual
  std::vector<float> cosine, sine;          // [tokens][head_dim / 2], filled by the embedding op
  std::vector<float> logits;                // [rows][vocab]
  std::vector<std::vector<float>> scratch;  // by thread

  std::int64_t qkv_width = 0;
};

}  // namespace hybridgen
