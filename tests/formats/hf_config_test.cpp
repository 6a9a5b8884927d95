// config.json: those of the families as published, every variation that must be refused, and all errors at
// once.
#include "formats/hf_config.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/base/error.hpp"
#include "tests/formats/support.hpp"

namespace hybridgen {
namespace {

using Json = nlohmann::json;

Json good() {
  return Json::parse(R"({"architectures": ["LlamaForCausalLM"], "hidden_act": "silu", "hidden_size": 576,
    "intermediate_size": 1536, "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3,
    "vocab_size": 49152, "max_position_embeddings": 8192, "rope_theta": 100000, "rms_norm_eps": 1e-05,
    "rope_scaling": null, "attention_bias": false, "tie_word_embeddings": true, "torch_dtype": "float16"})");
}

ModelShape parse(const Json& config) {
  return parse_hf_config(config.dump(), "m/config.json", "m");
}

std::string refusal(const Json& config) {
  try {
    parse(config);
  } catch (const BadInput& error) {
    return error.what();
  }
  return "accepted";
}

void expect_refusal(const char* key, const Json& value, const std::string& text) {
  Json config = good();
  config[key] = value;
  EXPECT_NE(refusal(config).find("m/config.json: " + text), std::string::npos) << refusal(config);
}

TEST(HfConfig, Smollm2_givesItsShape) {
  const ModelShape shape = parse(good());
  EXPECT_EQ(shape.name, "m");
  EXPECT_EQ(shape.layers, 30);
  EXPECT_EQ(shape.hidden, 576);
  EXPECT_EQ(shape.query_heads, 9);
  EXPECT_EQ(shape.kv_heads, 3);
  EXPECT_EQ(shape.head_dim, 64);  // hidden_size / num_attention_heads
  EXPECT_EQ(shape.ffn, 1536);
  EXPECT_EQ(shape.vocab, 49152);
  EXPECT_EQ(shape.max_context, 8192);
  EXPECT_EQ(shape.rope_theta, 1e5);
  EXPECT_EQ(shape.norm_eps, 1e-5);
  EXPECT_TRUE(shape.tied_embeddings);
}

TEST(HfConfig, KeysThatMayBeAbsent_takeHuggingFacesDefaults) {
  Json config = good();
  for (const char* key :
       {"num_key_value_heads", "rope_theta", "rms_norm_eps", "tie_word_embeddings", "hidden_act"}) {
    config.erase(key);
  }
  const ModelShape shape = parse(config);
  EXPECT_EQ(shape.kv_heads, 9);
  EXPECT_EQ(shape.rope_theta, 1e4);
  EXPECT_EQ(shape.norm_eps, 1e-6);
  EXPECT_FALSE(shape.tied_embeddings);
}

TEST(HfConfig, HeadDimOfItsOwn_winsOverTheQuotient) {
  Json config = good();
  config["head_dim"] = 128;
  EXPECT_EQ(parse(config).head_dim, 128);
}

TEST(HfConfig, RopeParameters_areRopeThetasNewHome) {
  Json config = good();
  config["rope_parameters"] = {{"rope_type", "default"}, {"rope_theta", 5e5}};
  EXPECT_EQ(parse(config).rope_theta, 5e5);
  config["rope_parameters"]["rope_type"] = "yarn";
  EXPECT_NE(refusal(config).find("rope_parameters"), std::string::npos);
}

TEST(HfConfig, Variations_areRefusedByName) {
  expect_refusal("architectures", {"MistralForCausalLM"},
                 "architectures: [\"MistralForCausalLM\"] is not supported; these are: LlamaForCausalLM, ");
  expect_refusal("model_type", "mistral", "model_type: \"mistral\" is not supported; only \"llama\" is");
  expect_refusal("sliding_window", 4096, "sliding_window: 4096 is not supported (attention sees a window");
  expect_refusal("quantization_config", {{"bits", 4}}, "quantization_config: {");
  expect_refusal("hidden_act", "gelu", "hidden_act: \"gelu\" is not supported; only \"silu\" is");
  expect_refusal("partial_rotary_factor", 0.5, "partial_rotary_factor: 0.5 is not supported (only a part");
  expect_refusal("rope_interleaved", true, "rope_interleaved: true is not supported");
  expect_refusal("alibi", true,
                 "alibi: true is not supported (positions are linear biases of the scores (ALiBi))");
  expect_refusal("num_local_experts", 8,
                 "num_local_experts: 8 is not supported (the FFN is a mixture of experts");
  expect_refusal("attn_logit_softcapping", 50.0, "attn_logit_softcapping: 50.0 is not supported");
  expect_refusal("use_parallel_residual", true, "use_parallel_residual: true is not supported");
  expect_refusal("layer_types", {"full_attention", "sliding_attention"},
                 "layer_types: \"sliding_attention\"");
}

TEST(HfConfig, VariationsSwitchedOff_areAccepted) {
  Json config = good();
  config["sliding_window"] = nullptr;
  config["alibi"] = false;
  config["partial_rotary_factor"] = 1.0;
  config["rope_interleaved"] = false;
  config["layer_types"] = {"full_attention", "full_attention"};
  config["pretraining_tp"] = 2;
  EXPECT_EQ(refusal(config), "accepted");
}

TEST(HfConfig, UnknownKey_isRefusedUnlessNull) {
  expect_refusal("attention_temperature", 2,
                 "attention_temperature: 2 is unknown, and an unknown key may change");
  Json config = good();
  config["attention_temperature"] = nullptr;
  EXPECT_EQ(refusal(config), "accepted");
}

TEST(HfConfig, RopeScaling_llama3IsReadAndOthersAreRefused) {
  Json config = good();
  config["rope_scaling"] = {{"rope_type", "llama3"},
                            {"factor", 8.0},
                            {"low_freq_factor", 1.0},
                            {"high_freq_factor", 4.0},
                            {"original_max_position_embeddings", 8192}};
  const RopeScaling scaling = parse(config).blocks.rope_scaling;
  EXPECT_EQ(scaling.factor, 8);
  EXPECT_EQ(scaling.low_freq_factor, 1);
  EXPECT_EQ(scaling.high_freq_factor, 4);
  EXPECT_EQ(scaling.original_context, 8192);
  Json incomplete = config["rope_scaling"];
  incomplete.erase("high_freq_factor");
  expect_refusal("rope_scaling", incomplete, "rope_scaling.high_freq_factor: missing");
  Json more = config["rope_scaling"];
  more["attention_factor"] = 1.2;
  expect_refusal("rope_scaling", more, "rope_scaling.attention_factor: 1.2 is unknown");
  expect_refusal("rope_scaling", {{"type", "linear"}, {"factor", 2.0}}, "rope_scaling: {");
  expect_refusal("rope_scaling", {{"rope_type", "yarn"}, {"factor", 4.0}}, "rope_scaling: {");
  expect_refusal("rope_scaling", {{"factor", 4.0}}, "rope_scaling: {\"factor\":4.0} has no rope_type");
}

TEST(HfConfig, Biases_areReadWhereTheArchitectureHasAChoice) {
  Json config = good();
  config["attention_bias"] = true;
  config["mlp_bias"] = true;
  const ModelBlocks blocks = parse(config).blocks;
  EXPECT_TRUE(blocks.qkv_bias && blocks.out_bias && blocks.ffn_bias);
  EXPECT_FALSE(parse(good()).blocks.qkv_bias);
}

// ---- as published ----

Json published(const std::string& name) {
  return Json::parse(slurp(source_path("tests/golden/configs/" + name + ".json")));
}

struct Published {
  std::string name;
  ModelFamily family;
  std::int64_t parameters;  // of the checkpoint, as its safetensors say
};

// Equal counts mean that no matrix, bias, norm or position row is missing from the description.
TEST(HfConfig, PublishedFiles_unedited_areAcceptedAndCountTheirParameters) {
  const Published files[] = {{"opt-6.7b", ModelFamily::opt, 6'658'473'984},
                             {"llama-2-7b", ModelFamily::llama, 6'738'415'616},
                             {"llama-3.1-8b", ModelFamily::llama, 8'030'261'248},
                             {"qwen2.5-7b", ModelFamily::qwen2, 7'615'616'512},
                             {"qwen3-8b", ModelFamily::qwen3, 8'190'735'360}};
  for (const Published& file : files) {
    const ModelShape shape = parse(published(file.name));
    EXPECT_EQ(shape.blocks.family, file.family) << file.name;
    EXPECT_EQ(shape.parameters(), file.parameters) << file.name;
  }
  EXPECT_TRUE(parse(published("llama-3.1-8b")).blocks.rope_scaling.active());
  EXPECT_FALSE(parse(published("llama-2-7b")).blocks.rope_scaling.active());
  const ModelShape opt = parse(published("opt-6.7b"));
  EXPECT_EQ(opt.position_rows(), 2050);
  EXPECT_TRUE(opt.tied_embeddings);
}

TEST(HfConfig, PublishedMixtureOfExperts_isRefused) {
  EXPECT_NE(
      refusal(published("qwen3-30b-a3b")).find("architectures: [\"Qwen3MoeForCausalLM\"] is not supported"),
      std::string::npos);
  Json disguised = published("qwen3-30b-a3b");
  disguised["architectures"] = {"Qwen3ForCausalLM"};
  disguised["model_type"] = "qwen3";
  for (const char* key : {"num_experts: 128", "num_experts_per_tok: 8", "moe_intermediate_size: 768",
                          "decoder_sparse_step: 1 is unknown"}) {
    EXPECT_NE(refusal(disguised).find(key), std::string::npos) << refusal(disguised);
  }
}

TEST(HfConfig, QwenWindow_isHarmlessUntilUsed) {
  Json config = published("qwen2.5-7b");  // has sliding_window 131072
  EXPECT_EQ(refusal(config), "accepted");
  config["use_sliding_window"] = true;
  EXPECT_NE(refusal(config).find("use_sliding_window: true is not supported"), std::string::npos);
  config["use_sliding_window"] = false;
  config["use_mrope"] = true;
  EXPECT_NE(refusal(config).find("use_mrope: true is not supported"), std::string::npos);
}

TEST(HfConfig, OptVariations_areRefusedByName) {
  const auto refused = [](const char* key, const Json& value) {
    Json config = published("opt-6.7b");
    config[key] = value;
    return refusal(config);
  };
  EXPECT_NE(refused("do_layer_norm_before", false).find("do_layer_norm_before: false is not supported"),
            std::string::npos);
  EXPECT_NE(refused("_remove_final_layer_norm", true).find("_remove_final_layer_norm: true"),
            std::string::npos);
  EXPECT_NE(refused("activation_function", "gelu").find("activation_function: \"gelu\""), std::string::npos);
  EXPECT_NE(refused("word_embed_proj_dim", 512)
                .find("word_embed_proj_dim: 512 is not supported; it must be "
                      "hidden_size, 4096"),
            std::string::npos);
  EXPECT_NE(refused("rope_theta", 1e4).find("rope_theta: 10000.0 is unknown"), std::string::npos);
  EXPECT_EQ(refused("enable_bias", false), "accepted");
}

TEST(HfConfig, ImpossibleValues_areRefused) {
  expect_refusal("num_hidden_layers", 0, "num_hidden_layers: 0 is not a positive integer");
  expect_refusal("vocab_size", "49152", "vocab_size: \"49152\" is not a positive integer");
  expect_refusal("hidden_size", 576.5, "hidden_size: 576.5 is not a positive integer");
  expect_refusal("max_position_embeddings", 4294967296, "max_position_embeddings: 4294967296");
  expect_refusal("rms_norm_eps", -1, "rms_norm_eps: -1 is not a positive number");
  expect_refusal("tie_word_embeddings", "yes", "tie_word_embeddings: \"yes\" is neither");
  expect_refusal("num_key_value_heads", 2, "num_key_value_heads: 2 does not divide");
  expect_refusal("head_dim", 60, "head_dim: 60 is not a multiple of 16");
  expect_refusal("num_attention_heads", 7, "head_dim: missing, and num_attention_heads does not divide");
}

TEST(HfConfig, SeveralErrors_areAllNamedAtOnce) {
  Json config = good();
  config.erase("hidden_size");
  config["vocab_size"] = 0;
  config["sliding_window"] = 7;
  const std::string message = refusal(config);
  for (const char* key : {"hidden_size: missing", "vocab_size: 0", "sliding_window: 7"}) {
    EXPECT_NE(message.find(key), std::string::npos) << message;
  }
  config.erase("architectures");
  EXPECT_NE(refusal(config).find("architectures: missing"), std::string::npos);
}

TEST(HfConfig, NoJson_isRefused) {
  EXPECT_THROW(parse_hf_config("{\"a\": ", "m/config.json", "m"), BadInput);
  EXPECT_THROW(parse_hf_config("[]", "m/config.json", "m"), BadInput);
  EXPECT_THROW(read_hf_config("/nonexistent/config.json"), BadInput);
}

}  // namespace
}  // namespace hybridgen
