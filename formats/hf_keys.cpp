#include "formats/hf_keys.hpp"

namespace hybridgen {

const std::set<std::string>& harmless_hf_keys() {
  static const std::set<std::string> keys = {
      // who wrote it, with what, and how it is kept
      "_attn_implementation", "_attn_implementation_autoset", "_attn_implementation_internal", "_commit_hash",
      "_name_or_path", "attn_implementation", "dtype", "is_llama_config", "model_type", "torch_dtype",
      "tokenizer_class", "transformers.js_config", "transformers_version", "unsloth_fixed", "unsloth_version",
      "use_bfloat16",
      // token ids
      "bos_token_id", "decoder_start_token_id", "eos_token_id", "forced_bos_token_id", "forced_eos_token_id",
      "pad_token_id", "prefix", "sep_token_id",
      // training alone
      "activation_dropout", "attention_dropout", "attn_pdrop", "classifier_dropout", "dropout", "embd_pdrop",
      "gradient_checkpointing", "hidden_dropout", "init_std", "initializer_range", "layerdrop", "mlp_dropout",
      "resid_pdrop", "use_return_dict",
      // how it is called, not what comes out; sums in slices are the same sums
      "chunk_size_feed_forward", "is_decoder", "keys_to_ignore_at_inference", "output_attentions",
      "output_hidden_states", "output_scores", "pretraining_tp", "return_dict", "return_dict_in_generate",
      "torchscript", "use_cache",
      // generation
      "bad_words_ids", "begin_suppress_tokens", "diversity_penalty", "do_sample", "early_stopping",
      "encoder_no_repeat_ngram_size", "exponential_decay_length_penalty", "length_penalty", "max_length",
      "max_new_tokens", "min_length", "no_repeat_ngram_size", "num_beam_groups", "num_beams",
      "num_return_sequences", "remove_invalid_values", "repetition_penalty", "suppress_tokens", "temperature",
      "top_k", "top_p", "typical_p",
      // classification
      "finetuning_task", "id2label", "label2id", "num_labels", "problem_type", "task_specific_params"};
  return keys;
}

const std::vector<HfKeyRule>& hf_key_rules() {
  static const std::vector<HfKeyRule> rules = {
      {"quantization_config", {}, "weights are quantized"},
      {"compression_config", {}, "weights are compressed"},
      {"auto_map", {}, "the layers stand in code beside the weights"},
      {"sliding_window", {}, "attention sees a window of the newest tokens"},
      {"use_sliding_window", {false}, "attention sees a window of the newest tokens"},
      {"attention_chunk_size", {}, "attention stays within chunks"},
      {"alibi", {false}, "positions are linear biases of the scores (ALiBi)"},
      {"use_alibi", {false}, "positions are linear biases of the scores (ALiBi)"},
      {"position_embedding_type", {}, "positions are of another kind"},
      {"rope_interleaved", {false}, "rotary pairs are neighbours"},
      {"partial_rotary_factor", {1.0}, "only a part of each head is turned"},
      {"rotary_pct", {1.0}, "only a part of each head is turned"},
      {"rotary_dim", {}, "only a part of each head is turned"},
      {"use_mrope", {false}, "positions have several axes"},
      {"no_rope_layers", {nlohmann::json::array()}, "some layers have no positions"},
      {"num_experts", {0}, "the FFN is a mixture of experts (MoE)"},
      {"num_local_experts", {0}, "the FFN is a mixture of experts (MoE)"},
      {"n_routed_experts", {0}, "the FFN is a mixture of experts (MoE)"},
      {"num_experts_per_tok", {0}, "the FFN is a mixture of experts (MoE)"},
      {"moe_intermediate_size", {}, "the FFN is a mixture of experts (MoE)"},
      {"attn_logit_softcapping", {}, "attention scores are capped"},
      {"final_logit_softcapping", {}, "logits are capped"},
      {"logit_softcapping", {}, "scores are capped"},
      {"logit_scale", {1.0}, "logits are scaled"},
      {"logits_scaling", {1.0}, "logits are scaled"},
      {"query_pre_attn_scalar", {}, "queries are scaled by another rule"},
      {"attention_multiplier", {}, "scores are scaled by another rule"},
      {"embedding_multiplier", {1.0}, "embeddings are scaled"},
      {"scale_emb", {1.0}, "embeddings are scaled"},
      {"residual_multiplier", {1.0}, "the residual stream is scaled"},
      {"scale_depth", {}, "the residual stream is scaled"},
      {"clip_qkv", {}, "q, k and v are clipped"},
      {"use_parallel_residual", {false}, "attention and FFN read the same input"},
      {"parallel_attn", {false}, "attention and FFN read the same input"},
      {"qk_layernorm", {false}, "q and k are normed by another rule"},
      {"use_qk_norm", {false}, "q and k are normed by another rule"},
      {"kv_lora_rank", {}, "K and V are kept compressed (MLA)"},
      {"q_lora_rank", {}, "queries are made of two products (MLA)"},
      {"use_bias", {false}, "products have biases of another rule"},
      {"is_encoder_decoder", {false}, "there is an encoder"},
      {"add_cross_attention", {false}, "there is attention to an encoder"},
      {"cross_attention_hidden_size", {}, "there is attention to an encoder"},
      {"pruned_heads", {nlohmann::json::object()}, "some heads are missing"},
      {"tie_encoder_decoder", {false}, "there is an encoder"},
  };
  return rules;
}

}  // namespace hybridgen
