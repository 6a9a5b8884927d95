#include "formats/model.hpp"

#include <filesystem>
#include <optional>
#include <set>

#include "core/base/error.hpp"
#include "formats/hf_config.hpp"
#include "formats/lookahead_file.hpp"
#include "formats/search_path.hpp"
#include "formats/yaml_reader.hpp"

namespace hybridgen {
namespace {

namespace fs = std::filesystem;

constexpr const char* kWeights = "models";
constexpr const char* kShapes = "configs/models";
constexpr IntegerRange kSize{1, 100'000'000};

bool has_config(const fs::path& folder) {
  std::error_code code;
  return fs::is_regular_file(folder / "config.json", code);
}

ModelFiles from_folder(const fs::path& folder) {
  const std::string config = (folder / "config.json").string();
  ModelFiles files{read_hf_config(config), folder.string(), read_end_tokens(config)};
  files.shape.predictor = read_query_predictor(files.folder, files.shape);
  return files;
}

ModelFiles from_yaml(const fs::path& file) {
  return {read_model_yaml(read_text_file(file.string()), file.string()), "", {}};
}

ModelFiles from_path(const std::string& name) {
  const fs::path path(name);
  if (has_config(path)) return from_folder(path.lexically_normal());
  if (path.filename() == "config.json" && fs::exists(path)) return from_folder(path.parent_path());
  if (fs::is_regular_file(path)) return from_yaml(path);
  throw BadInput("model " + name + ": neither a folder with config.json nor a YAML file; check the path");
}

int size(YamlMap& map, const std::string& key) {
  return static_cast<int>(map.integer(key, Need::required, kSize).value_or(1));
}

std::optional<ModelFamily> family(YamlMap& map) {
  NameSet names{"family", {}, true};
  for (const ModelFamily each : all_families()) names.names.push_back(name_of(each));
  const auto index = map.choice("family", Need::required, names);
  return index ? std::optional(all_families()[*index]) : std::nullopt;
}

}  // namespace

ModelFiles find_model(const std::string& name) {
  if (looks_like_path(name)) return from_path(name);
  for (const fs::path& root : search_roots()) {
    const fs::path folder = (root / kWeights / name).lexically_normal();
    if (has_config(folder)) return from_folder(folder);
  }
  for (const fs::path& root : search_roots()) {
    const fs::path file = (root / kShapes / (name + ".yaml")).lexically_normal();
    if (fs::exists(file)) return from_yaml(file);
  }
  throw BadInput("model " + name + ": not found in " + searched(kWeights) + ", " + searched(kShapes) + "; " +
                 name_remedy(name, list_models()));
}

std::vector<std::string> list_models() {
  std::set<std::string> names;
  for (const std::string& shape : list_names(kShapes, ".yaml")) names.insert(shape);
  for (const fs::path& root : search_roots()) {
    std::error_code code;
    for (const auto& entry : fs::directory_iterator(root / kWeights, code)) {
      if (has_config(entry.path())) names.insert(entry.path().filename().string());
    }
  }
  return {names.begin(), names.end()};
}

ModelShape read_model_yaml(const std::string& text, const std::string& path) {
  YamlErrors errors(path);
  const YamlPtr root = parse_yaml(text, errors);
  errors.throw_if_any();
  if (root->kind == YamlKind::null) {
    errors.add({}, "", "the file is empty; write a model's shape: model, layers, hidden, ...");
    errors.throw_if_any();
  }
  YamlMap map({root.get(), ""}, errors);
  ModelShape shape;
  shape.name = map.text("model", Need::required).value_or("");
  const std::optional<ModelFamily> known = family(map);
  if (known) shape.blocks = blocks_of(*known);
  shape.layers = size(map, "layers");
  shape.hidden = size(map, "hidden");
  shape.query_heads = size(map, "query_heads");
  shape.kv_heads = size(map, "kv_heads");
  shape.head_dim = size(map, "head_dim");
  shape.ffn = size(map, "ffn");
  shape.vocab = size(map, "vocab");
  shape.max_context = size(map, "max_context");
  if (!known) {
    map.skip("rope_theta");  // whether it is due depends on the family
  } else if (shape.blocks.position == PositionKind::rotary) {
    shape.rope_theta = map.number("rope_theta", Need::required, kAboveZero).value_or(1);
  } else {
    map.refuse("rope_theta", "this family learns its positions; remove it");
  }
  shape.norm_eps = map.number("norm_eps", Need::required, {0, 1, true}).value_or(1);
  shape.tied_embeddings = map.flag("tied_embeddings", Need::required).value_or(false);
  map.text("source", Need::required);
  map.finish();
  if (errors.count() == 0 && shape.query_heads % shape.kv_heads != 0) {
    map.fault("kv_heads", std::to_string(shape.query_heads) + " query heads cannot share " +
                              std::to_string(shape.kv_heads) + " KV heads evenly; write a divisor");
  }
  errors.throw_if_any();
  return shape;
}

}  // namespace hybridgen
