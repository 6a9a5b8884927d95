#include "formats/check_file.hpp"

#include <algorithm>
#include <array>
#include <filesystem>

#include "core/base/error.hpp"
#include "formats/ablation.hpp"
#include "formats/experiment.hpp"
#include "formats/locality_file.hpp"
#include "formats/model.hpp"
#include "formats/platform.hpp"
#include "formats/yaml_tree.hpp"

namespace hybridgen {
namespace {

// Keys that only one kind of file has; two of them tell, so that a typo in one does not.
struct Kind {
  const char* name;
  std::array<const char*, 4> keys;
};
constexpr std::array<Kind, 5> kKinds = {{{"experiment", {"workload", "policy", "repeat", "seed"}},
                                         {"platform", {"channels", "memories", "processors", "lanes"}},
                                         {"model shape", {"layers", "hidden", "query_heads", "vocab"}},
                                         {"ablation", {"title", "experiment", "variants", "platforms"}},
                                         {"locality", {"fitted_on", "mean_rows", "overlap", "thresholds"}}}};

std::string kind_of(const std::string& path) {
  YamlErrors errors(path);
  const YamlPtr root = parse_yaml(read_text_file(path), errors);
  errors.throw_if_any();
  const Kind* best = nullptr;
  std::ptrdiff_t most = 1;
  for (const Kind& kind : kKinds) {
    const std::ptrdiff_t found =
        std::count_if(root->entries.begin(), root->entries.end(), [&](const YamlEntry& entry) {
          return std::find(kind.keys.begin(), kind.keys.end(), entry.key) != kind.keys.end();
        });
    if (found > most) {
      most = found;
      best = &kind;
    }
  }
  if (best == nullptr) {
    throw BadInput(
        path +
        ":1:1: neither an experiment (workload, policy, ...), a platform (channels, memories, ...) "
        "nor a model shape (layers, hidden, ...) nor an ablation (experiment, variants, ...) nor a locality "
        "(fitted_on, overlap, ...); see "
        "docs/formats.md");
  }
  return best->name;
}

}  // namespace

std::string check_file(const std::string& path) {
  const std::filesystem::path file(path);
  if (std::filesystem::is_directory(file) || file.filename() == "config.json") {
    find_model(file.string());
    return "Hugging Face model";
  }
  const std::string kind = kind_of(path);
  if (kind == "experiment") {
    load_experiment(path);
  } else if (kind == "platform") {
    load_platform(path);
  } else if (kind == "ablation") {
    for (const AblationVariant& variant : load_ablation(path).variants) {
      load_experiment(variant.experiment, variant.changes);
    }
  } else if (kind == "locality") {
    read_locality(path);
  } else {
    find_model(path);
  }
  return kind;
}

}  // namespace hybridgen
