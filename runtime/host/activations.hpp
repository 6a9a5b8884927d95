// The device's working memory for one step: hidden states of all rows of the batch, and scratch of its
// threads.
#pragma once

#include <array>
#include <vector>

#include "core/machine/model_shape.hpp"
#include "core/residency/memory_plan.hpp"
#include "runtime/kernels/attend.hpp"

namespace hybridgen {

struct Activations {
  // most_tokens: query tokens of the largest step; most_rows: requests of the largest step.
  Activations(const ModelShape& model, const MemoryPlan& plan, Tokens most_tokens, int most_rows,
              int threads);

  std::vector<float> hidden;                    // [tokens][hidden], the residual stream
  std::vector<float> normed;                    // [tokens of a tile][hidden]
  std::vector<float> qkv;                       // [tokens][q_width + 2 kv_width]
  std::array<std::vector<float>, 2> predicted;  // [tokens of a decode step][q_width], by layer mod 2
  std::vector<float> low_rank;                  // [tokens of a decode step][rank], of the fitted predictor
  std::vector<float> missing;                   // [tokens of a decode step][q_width], what it adds
  std::vector<float> turned;                // [q_width], a query at another position, and [head_dim] angles
  std::vector<float> attended;              // [tokens][q_width]
  std::vector<float> ffn_in;                // [tokens of a tile][ffn_in_width]
  std::vector<float> product;               // [tokens of a tile][hidden], before it joins the residual
  std::vector<float> cosine, sine;          // [tokens][head_dim / 2], filled by the embedding op
  std::vector<float> logits;                // [rows][vocab]
  std::vector<std::vector<float>> scratch;  // by thread

  // Attention of one token.
  std::vector<float> lse;                    // [query_heads]
  std::vector<kernels::HostRows> host_rows;  // [query_heads], what the host sent
  std::vector<kernels::HostRows> no_rows;  // [group], for the part of a head that the host's rows do not join
  std::vector<std::vector<float>> partials;  // by thread: outputs and log-sum-exps of the heads it shares

  float* partial(int thread) { return partials[static_cast<std::size_t>(thread)].data(); }

  std::int64_t qkv_width = 0;
};

}  // namespace hybridgen
