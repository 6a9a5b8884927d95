#include "formats/hf_config.hpp"

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "core/base/error.hpp"
#include "formats/hf_reader.hpp"

namespace hybridgen {
namespace {

using Json = nlohmann::json;

// What tells the families apart in a config.json.
struct Architecture {
  std::string name;
  ModelFamily family;
};

const std::vector<Architecture>& architectures() {
  static const std::vector<Architecture> list = {{"LlamaForCausalLM", ModelFamily::llama},
                                                 {"Qwen2ForCausalLM", ModelFamily::qwen2},
                                                 {"Qwen3ForCausalLM", ModelFamily::qwen3},
                                                 {"OPTForCausalLM", ModelFamily::opt}};
  return list;
}

std::optional<ModelFamily> read_family(HfReader& reader) {
  std::string names;
  for (const Architecture& known : architectures()) names += (names.empty() ? "" : ", ") + known.name;
  const Json* list = reader.find("architectures");
  if (!list) {
    reader.error("architectures", "missing; it names one of " + names);
    return std::nullopt;
  }
  for (const Architecture& known : architectures()) {
    if (*list == Json::array({known.name})) return known.family;
  }
  reader.error("architectures", list->dump() + " is not supported; these are: " + names);
  return std::nullopt;
}

RopeScaling read_scaling(HfReader& reader) {
  RopeScaling scaling;
  scaling.factor = reader.positive("factor");
  scaling.low_freq_factor = reader.positive("low_freq_factor");
  scaling.high_freq_factor = reader.positive("high_freq_factor");
  scaling.original_context = reader.size("original_max_position_embeddings");
  if (scaling.high_freq_factor <= scaling.low_freq_factor) {
    reader.error("high_freq_factor", "must be above low_freq_factor; is the file as it was published?");
  }
  return scaling;
}

// rope_theta and rope_scaling, whose newer home is rope_parameters.
void read_rope(HfReader& reader, ModelShape& shape) {
  constexpr double kTheta = 10'000.0;  // Hugging Face's own default in all families
  shape.rope_theta = reader.positive_or("rope_theta", kTheta);
  const bool newer = reader.find("rope_parameters") != nullptr;
  const std::string home = newer ? "rope_parameters" : "rope_scaling";
  const Json* object = reader.find(home);
  if (!object) return;
  if (newer && reader.find("rope_scaling")) {
    return reader.error("rope_scaling", "stands beside rope_parameters; keep one of them");
  }
  if (!object->is_object())
    return reader.error(home, object->dump() + " is no object; write null or an object");
  HfReader inner(*object, reader.path(), home);
  const Json* type = inner.find("rope_type");
  const Json* older = inner.find("type");
  if (!type) type = older;
  if (newer) shape.rope_theta = inner.positive_or("rope_theta", shape.rope_theta);
  if (type && *type == "llama3") {
    shape.blocks.rope_scaling = read_scaling(inner);
  } else if (type && *type != "default") {
    return reader.error(home,
                        object->dump() + " is not supported; its type may be \"llama3\" or \"default\"");
  } else if (!type && !newer) {
    return reader.error(home, object->dump() + " has no rope_type; is the file as it was published?");
  }
  inner.refuse_the_rest();
  reader.add_errors(inner);
}

// Full attention in every layer, however the file says so.
void check_windows(HfReader& reader, ModelFamily family) {
  if (family == ModelFamily::qwen2 || family == ModelFamily::qwen3) {
    reader.find("sliding_window");  // both describe a window, used or not
    reader.find("max_window_layers");
    reader.only("use_sliding_window", false, "attention would see a window of the newest tokens");
  }
  const Json* types = reader.find("layer_types");
  for (const Json& type : types && types->is_array() ? *types : Json::array()) {
    if (type == "full_attention") continue;
    return reader.error("layer_types", type.dump() + " is not supported; only \"full_attention\" is");
  }
}

void read_sizes(HfReader& reader, ModelShape& shape) {
  shape.layers = reader.size("num_hidden_layers");
  shape.hidden = reader.size("hidden_size");
  shape.query_heads = reader.size("num_attention_heads");
  shape.vocab = reader.size("vocab_size");
  shape.max_context = reader.size("max_position_embeddings");
}

void read_head_dim(HfReader& reader, ModelShape& shape, bool own_key) {
  if (shape.blocks.family == ModelFamily::qwen3) {  // whose default is no quotient
    shape.head_dim = reader.size("head_dim");
    return;
  }
  const bool given = own_key && reader.find("head_dim");
  if (!given && shape.query_heads > 0 && shape.hidden % shape.query_heads != 0) {
    reader.error(own_key ? "head_dim" : "hidden_size", std::string(own_key ? "missing, and " : "") +
                                                           "num_attention_heads does not divide hidden_size");
  }
  const int quotient = shape.query_heads > 0 ? shape.hidden / shape.query_heads : 0;
  shape.head_dim = own_key ? reader.size_or("head_dim", quotient) : quotient;
}

// Llama and the Qwen families: RMS norms, rotary positions, a gated FFN.
void read_llama_like(HfReader& reader, ModelShape& shape) {
  const ModelFamily family = shape.blocks.family;
  read_sizes(reader, shape);
  shape.kv_heads = family == ModelFamily::llama ? reader.size_or("num_key_value_heads", shape.query_heads)
                                                : reader.size("num_key_value_heads");
  read_head_dim(reader, shape, true);
  shape.ffn = reader.size("intermediate_size");
  read_rope(reader, shape);
  shape.norm_eps = reader.positive_or("rms_norm_eps", 1e-6);  // Hugging Face's own default
  shape.tied_embeddings = reader.flag_or("tie_word_embeddings", false);
  reader.only("hidden_act", "silu");
  check_windows(reader, family);
  if (family != ModelFamily::qwen2) {  // whose biases are no choice
    shape.blocks.qkv_bias = shape.blocks.out_bias = reader.flag_or("attention_bias", false);
  }
  if (family == ModelFamily::llama) shape.blocks.ffn_bias = reader.flag_or("mlp_bias", false);
}

// Layer norms in front of each block and one at the end, learned positions, ReLU. What other OPT models vary
// is refused: norms behind the blocks and a narrower embedding (opt-350m), no norm at the end.
void read_opt(HfReader& reader, ModelShape& shape) {
  read_sizes(reader, shape);
  shape.kv_heads = shape.query_heads;
  read_head_dim(reader, shape, false);
  shape.ffn = reader.size("ffn_dim");
  shape.norm_eps = 1e-5;  // torch's own, as no key sets it
  shape.tied_embeddings = reader.flag_or("tie_word_embeddings", true);
  reader.only("activation_function", "relu");
  reader.only("do_layer_norm_before", true, "norms stand in front of the blocks");
  reader.only("_remove_final_layer_norm", false, "a norm stands at the end");
  reader.only("layer_norm_elementwise_affine", true, "norms have weights");
  const int width = reader.size_or("word_embed_proj_dim", shape.hidden);
  if (shape.hidden > 0 && width > 0 && width != shape.hidden) {
    reader.error("word_embed_proj_dim", std::to_string(width) +
                                            " is not supported; it must be hidden_size, " +
                                            std::to_string(shape.hidden) + "; use another model");
  }
  const bool biases = reader.flag_or("enable_bias", true);
  shape.blocks.qkv_bias = shape.blocks.out_bias = shape.blocks.ffn_bias = biases;
}

void check_heads(HfReader& reader, const ModelShape& shape) {
  if (shape.kv_heads > 0 && shape.query_heads % shape.kv_heads != 0) {
    reader.error("num_key_value_heads", std::to_string(shape.kv_heads) +
                                            " does not divide num_attention_heads, " +
                                            std::to_string(shape.query_heads));
  }
  if (shape.head_dim > 0 && shape.head_dim % 16 != 0) {
    reader.error("head_dim",
                 std::to_string(shape.head_dim) + " is not a multiple of 16, as the kernels need");
  }
}

}  // namespace

ModelShape parse_hf_config(const std::string& text, const std::string& path, const std::string& name) {
  const Json config = Json::parse(text, nullptr, false);
  if (!config.is_object()) throw BadInput(path + ": not a JSON object; is the download complete?");
  HfReader reader(config, path);
  ModelShape shape;
  shape.name = name;
  const std::optional<ModelFamily> family = read_family(reader);
  if (!family) reader.throw_errors();
  shape.blocks = blocks_of(*family);
  reader.only("model_type", name_of(*family), "as architectures says");
  if (*family == ModelFamily::opt) {
    read_opt(reader, shape);
  } else {
    read_llama_like(reader, shape);
  }
  check_heads(reader, shape);
  reader.refuse_the_rest();
  reader.throw_errors();
  return shape;
}

namespace {

std::string read_text(const std::string& path) {
  std::ifstream stream(path);
  std::ostringstream text;
  text << stream.rdbuf();
  if (!stream) throw BadInput(path + ": cannot be read; a Hugging Face model folder holds a config.json");
  return text.str();
}

}  // namespace

ModelShape read_hf_config(const std::string& path) {
  const std::filesystem::path folder = std::filesystem::absolute(path).parent_path();
  return parse_hf_config(read_text(path), path, folder.filename().string());
}

std::vector<std::int32_t> read_end_tokens(const std::string& path) {
  const Json config = Json::parse(read_text(path), nullptr, false);
  std::vector<std::int32_t> tokens;
  if (!config.is_object()) return tokens;  // parse_hf_config says what is wrong with it
  const auto found = config.find("eos_token_id");
  if (found == config.end() || found->is_null()) return tokens;
  const Json list = found->is_array() ? *found : Json::array({*found});
  for (const Json& token : list) {
    if (!token.is_number_integer()) {
      throw BadInput(path + ": eos_token_id: " + found->dump() + " is neither an integer nor a list of them");
    }
    tokens.push_back(token.get<std::int32_t>());
  }
  return tokens;
}

}  // namespace hybridgen
