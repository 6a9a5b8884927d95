#include "runtime/weights/tensor_names.hpp"

namespace hybridgen {

const TensorNames& tensor_names(ModelFamily family) {
  static const TensorNames llama{.embedding = "model.embed_tokens",
                                 .positions = "",
                                 .final_norm = "model.norm",
                                 .output = "lm_head",
                                 .layer = "model.layers",
                                 .attention_norm = "input_layernorm",
                                 .q = "self_attn.q_proj",
                                 .k = "self_attn.k_proj",
                                 .v = "self_attn.v_proj",
                                 .q_norm = "self_attn.q_norm",
                                 .k_norm = "self_attn.k_norm",
                                 .out = "self_attn.o_proj",
                                 .ffn_norm = "post_attention_layernorm",
                                 .gate = "mlp.gate_proj",
                                 .up = "mlp.up_proj",
                                 .down = "mlp.down_proj"};
  static const TensorNames opt{.embedding = "model.decoder.embed_tokens",
                               .positions = "model.decoder.embed_positions",
                               .final_norm = "model.decoder.final_layer_norm",
                               .output = "lm_head",
                               .layer = "model.decoder.layers",
                               .attention_norm = "self_attn_layer_norm",
                               .q = "self_attn.q_proj",
                               .k = "self_attn.k_proj",
                               .v = "self_attn.v_proj",
                               .q_norm = "",
                               .k_norm = "",
                               .out = "self_attn.out_proj",
                               .ffn_norm = "final_layer_norm",
                               .gate = "",
                               .up = "fc1",
                               .down = "fc2"};
  return family == ModelFamily::opt ? opt : llama;
}

}  // namespace hybridgen
