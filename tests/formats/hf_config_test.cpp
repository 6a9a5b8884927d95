// config.json: the good one, every variation that must be refused, and all errors at once.
#include "formats/hf_config.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/base/error.hpp"

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
                 "architectures: [\"MistralForCausalLM\"] is not supported");
  expect_refusal("rope_scaling", {{"type", "linear"}, {"factor", 2.0}}, "rope_scaling: {");
  expect_refusal("attention_bias", true, "attention_bias: true is not supported");
  expect_refusal("mlp_bias", true, "mlp_bias: true");
  expect_refusal("sliding_window", 4096, "sliding_window: 4096");
  expect_refusal("quantization_config", {{"bits", 4}}, "quantization_config: {");
  expect_refusal("hidden_act", "gelu", "hidden_act: \"gelu\" is not supported; only \"silu\" is");
  expect_refusal("partial_rotary_factor", 0.5, "partial_rotary_factor: 0.5");
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
  config.erase("architectures");
  config["sliding_window"] = 7;
  const std::string message = refusal(config);
  for (const char* key : {"hidden_size: missing", "architectures: missing", "sliding_window: 7"}) {
    EXPECT_NE(message.find(key), std::string::npos) << message;
  }
}

TEST(HfConfig, NoJson_isRefused) {
  EXPECT_THROW(parse_hf_config("{\"a\": ", "m/config.json", "m"), BadInput);
  EXPECT_THROW(parse_hf_config("[]", "m/config.json", "m"), BadInput);
  EXPECT_THROW(read_hf_config("/nonexistent/config.json"), BadInput);
}

}  // namespace
}  // namespace hybridgen
