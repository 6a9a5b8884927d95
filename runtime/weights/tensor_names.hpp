// What a family of models calls its tensors in a Hugging Face weight file. Stems: ".weight" or ".bias"
// follows.
#pragma once

#include "core/machine/model_blocks.hpp"

namespace hybridgen {

struct TensorNames {
  const char* embedding = "";
  const char* positions = "";  // of the learned position table
  const char* final_norm = "";
  const char* output = "";
  const char* layer = "";  // before the layer's number; the stems below follow ".<number>."
  const char *attention_norm = "", *q = "", *k = "", *v = "", *q_norm = "", *k_norm = "", *out = "";
  const char *ffn_norm = "", *gate = "", *up = "", *down = "";
};

const TensorNames& tensor_names(ModelFamily family);

}  // namespace hybridgen
