// What a decoder layer is made of: one description over shared blocks. A family of models is a setting of
// these fields, never a forward pass of its own. Executors read them; policies only see sizes.
#pragma once

#include <string>
#include <vector>

namespace hybridgen {

// How a family names its tensors in a weight file, and what its descriptions start from.
enum class ModelFamily { llama, qwen2, qwen3, opt };

enum class NormKind {
  rms,    // x / sqrt(mean(x^2) + eps) * weight
  layer,  // (x - mean) / sqrt(variance + eps) * weight + bias
};

enum class PositionKind {
  rotary,   // q and k are turned, half-split
  learned,  // a row of a table is added to the embedding
};

enum class FfnKind {
  swiglu,  // down(silu(gate(x)) * up(x))
  relu,    // down(max(up(x), 0))
};

// Rotary frequencies of a context longer than the one trained on, as Llama 3.1 scales them: wavelengths
// longer than original_context / low_freq_factor are divided by `factor`, those shorter than original_context
// / high_freq_factor stay, those between are blended.
struct RopeScaling {
  double factor = 1;  // 1: not scaled
  double low_freq_factor = 1;
  double high_freq_factor = 1;
  int original_context = 0;  // tokens

  bool active() const { return factor != 1; }
};

struct ModelBlocks {
  ModelFamily family = ModelFamily::llama;
  NormKind norm = NormKind::rms;
  PositionKind position = PositionKind::rotary;
  FfnKind ffn = FfnKind::swiglu;
  bool qkv_bias = false;
  bool out_bias = false;     // of the projection after attention
  bool ffn_bias = false;     // of all of its projections
  bool qk_norm = false;      // RMS norm over each head of q and k, before they are turned
  int position_offset = 0;   // learned positions: token p takes row p + offset of the table
  RopeScaling rope_scaling;  // rotary positions
};

const char* name_of(ModelFamily family);
const std::vector<ModelFamily>& all_families();

// The blocks of a family as its published models have them.
ModelBlocks blocks_of(ModelFamily family);

}  // namespace hybridgen
