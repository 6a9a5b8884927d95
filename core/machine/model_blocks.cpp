#include "core/machine/model_blocks.hpp"

namespace hybridgen {

const char* name_of(ModelFamily family) {
  switch (family) {
    case ModelFamily::llama:
      return "llama";
    case ModelFamily::qwen2:
      return "qwen2";
    case ModelFamily::qwen3:
      return "qwen3";
    case ModelFamily::opt:
      return "opt";
  }
  return "unknown";
}

const std::vector<ModelFamily>& all_families() {
  static const std::vector<ModelFamily> families = {ModelFamily::llama, ModelFamily::qwen2,
                                                    ModelFamily::qwen3, ModelFamily::opt};
  return families;
}

ModelBlocks blocks_of(ModelFamily family) {
  ModelBlocks blocks;
  blocks.family = family;
  switch (family) {
    case ModelFamily::llama:
      break;
    case ModelFamily::qwen2:
      blocks.qkv_bias = true;
      break;
    case ModelFamily::qwen3:
      blocks.qk_norm = true;
      break;
    case ModelFamily::opt:
      blocks.norm = NormKind::layer;
      blocks.position = PositionKind::learned;
      blocks.position_offset = 2;  // the first two rows were padding's in the training code
      blocks.ffn = FfnKind::relu;
      blocks.qkv_bias = blocks.out_bias = blocks.ffn_bias = true;
      break;
  }
  return blocks;
}

}  // namespace hybridgen
