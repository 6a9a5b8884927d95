#include "formats/hf_config.hpp"

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/base/error.hpp"

namespace hybridgen {
namespace {

using Json = nlohmann::json;

// Reads keys and gathers what is wrong with them.
class Reader {
 public:
  Reader(const Json& config, std::string path) : config_(config), path_(std::move(path)) {}

  void error(const std::string& key, const std::string& what) {
    errors_ += "\n" + path_ + ": " + key + ": " + what;
  }

  // Null when absent or null, which Hugging Face treats alike.
  const Json* find(const char* key) const {
    const auto found = config_.find(key);
    return found == config_.end() || found->is_null() ? nullptr : &*found;
  }

  int size(const char* key) {
    const Json* value = find(key);
    if (!value) {
      error(key, "missing; a LlamaForCausalLM config.json has it");
      return 0;
    }
    if (!value->is_number_integer() || value->get<double>() < 1 ||
        value->get<double>() > std::numeric_limits<int>::max()) {
      error(key, value->dump() + " is not a positive integer");
      return 0;
    }
    return value->get<int>();
  }

  int size_or(const char* key, int otherwise) { return find(key) ? size(key) : otherwise; }

  double positive_or(const char* key, double otherwise) {
    const Json* value = find(key);
    if (!value) return otherwise;
    if (!value->is_number() || !(value->get<double>() > 0) || !std::isfinite(value->get<double>())) {
      error(key, value->dump() + " is not a positive number");
      return otherwise;
    }
    return value->get<double>();
  }

  bool flag_or(const char* key, bool otherwise) {
    const Json* value = find(key);
    if (value && !value->is_boolean()) error(key, value->dump() + " is neither true nor false");
    return value && value->is_boolean() ? value->get<bool>() : otherwise;
  }

  void throw_errors() const {
    if (!errors_.empty()) throw BadInput(errors_.substr(1));
  }

 private:
  const Json& config_;
  std::string path_;
  std::string errors_;
};

void check_architecture(Reader& reader) {
  const Json* list = reader.find("architectures");
  if (!list) return reader.error("architectures", "missing; must be [\"LlamaForCausalLM\"]");
  if (*list != Json::array({"LlamaForCausalLM"})) {
    reader.error("architectures", list->dump() + " is not supported; only [\"LlamaForCausalLM\"] is");
  }
}

// rope_theta's newer home is rope_parameters, with the scaling beside it.
double read_rope_theta(Reader& reader) {
  constexpr double kLlamaTheta = 10'000.0;  // Hugging Face's own default
  const Json* parameters = reader.find("rope_parameters");
  if (!parameters) return reader.positive_or("rope_theta", kLlamaTheta);
  const auto type = parameters->is_object() ? parameters->find("rope_type") : parameters->end();
  if (type != parameters->end() && *type != "default") {
    reader.error("rope_parameters", parameters->dump() + " is not supported; only rope_type default is");
  }
  const auto theta = parameters->is_object() ? parameters->find("rope_theta") : parameters->end();
  if (theta != parameters->end() && theta->is_number() && theta->get<double>() > 0)
    return theta->get<double>();
  return reader.positive_or("rope_theta", kLlamaTheta);
}

void refuse_variations(Reader& reader) {
  for (const char* key : {"rope_scaling", "sliding_window", "quantization_config"}) {
    if (const Json* value = reader.find(key)) {
      reader.error(key, value->dump() + " is not supported; it must be null or absent");
    }
  }
  for (const char* key : {"attention_bias", "mlp_bias"}) {
    if (reader.flag_or(key, false)) reader.error(key, "true is not supported; it must be false or absent");
  }
  const Json* partial = reader.find("partial_rotary_factor");
  if (partial && *partial != 1.0)
    reader.error("partial_rotary_factor", partial->dump() + " is not supported");
  const Json* activation = reader.find("hidden_act");
  if (activation && *activation != "silu") {
    reader.error("hidden_act", activation->dump() + " is not supported; only \"silu\" is");
  }
}

void check_heads(Reader& reader, const ModelShape& shape) {
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
  Reader reader(config, path);
  check_architecture(reader);
  refuse_variations(reader);
  ModelShape shape;
  shape.name = name;
  shape.layers = reader.size("num_hidden_layers");
  shape.hidden = reader.size("hidden_size");
  shape.query_heads = reader.size("num_attention_heads");
  shape.kv_heads = reader.size_or("num_key_value_heads", shape.query_heads);
  if (!reader.find("head_dim") && shape.query_heads > 0 && shape.hidden % shape.query_heads != 0) {
    reader.error("head_dim", "missing, and num_attention_heads does not divide hidden_size");
  }
  shape.head_dim = reader.size_or("head_dim", shape.query_heads > 0 ? shape.hidden / shape.query_heads : 0);
  shape.ffn = reader.size("intermediate_size");
  shape.vocab = reader.size("vocab_size");
  shape.max_context = reader.size("max_position_embeddings");
  shape.rope_theta = read_rope_theta(reader);
  shape.norm_eps = reader.positive_or("rms_norm_eps", 1e-6);  // Hugging Face's own default
  shape.tied_embeddings = reader.flag_or("tie_word_embeddings", false);
  check_heads(reader, shape);
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
