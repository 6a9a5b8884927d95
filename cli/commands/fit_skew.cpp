// hybridgen fit-skew: fits the skew of a model's queries and keys, from a text, and writes it beside the
// weights.
#include <filesystem>
#include <iostream>

#include "cli/command.hpp"
#include "cli/experiment_options.hpp"
#include "cli/host_model_loader.hpp"
#include "cli/progress.hpp"
#include "cli/tokenizer.hpp"
#include "core/base/error.hpp"
#include "formats/program_commit.hpp"
#include "formats/skew_file.hpp"
#include "runtime/host/cores.hpp"
#include "runtime/lookahead/fit_predictor.hpp"
#include "runtime/lookahead/skew_fit.hpp"
#include "runtime/weights/predictor_weights.hpp"

namespace hybridgen::cli {
namespace {

constexpr const char* kUsage =
    "hybridgen fit-skew MODEL --text FILE: lets a few columns of q and k carry most of a score.\n"
    "\n"
    "The first tokens of the text pass the model with full attention. Per layer and KV head the right\n"
    "singular vectors of all queries, positions applied, are the skew: an orthogonal matrix A, so that\n"
    "q A . k A = q . k. It goes into skew.safetensors beside the weights, and the preset infinigen\n"
    "reads it. Never fit on the text that you measure quality on.\n"
    "\n"
    "  hybridgen fit-skew smollm2-135m-instruct --text /usr/share/common-licenses/GFDL-1.3\n";

struct Options {
  std::string model;
  std::string text;
  std::string out;
  Tokens tokens = 2048;
  bool force = false;
};

void check_options(const Options& options, const ModelShape& shape, const std::string& path) {
  if (options.text.empty()) throw BadInput("--text is missing: the text to fit on");
  if (options.tokens < 1 || options.tokens > shape.max_context) {
    throw BadInput("--tokens must lie between 1 and " + std::to_string(shape.max_context) + ", what " +
                   shape.name + " goes up to");
  }
  if (std::filesystem::exists(path) && !options.force) {
    throw BadInput(path + " exists; --force replaces it");
  }
}

}  // namespace

int fit_skew_command(const std::vector<std::string>& arguments) {
  Options options;
  namespace po = boost::program_options;
  po::options_description description("options");
  auto add = description.add_options();
  add("text", po::value(&options.text), "text to fit on, or token ids (*.ids)");
  add("tokens", po::value(&options.tokens)->default_value(options.tokens), "fit on the first so many tokens");
  add("out", po::value(&options.out), "file to write instead of the model folder's skew.safetensors");
  add("force", po::bool_switch(&options.force), "replace an existing file");
  if (!parse(arguments, kUsage, description, {{"MODEL", &options.model}})) return 0;
  const ModelFiles files = find_model(options.model);
  require_weights(files);
  const std::string path = options.out.empty() ? files.folder + "/" + kSkewFile : options.out;
  check_options(options, files.shape, path);
  const std::vector<std::int32_t> ids = read_prompt(options.text, files, options.tokens);
  const std::shared_ptr<const HostModel> model = load_host_model(files);
  Progress progress("fit-skew");
  progress.show("running the model over " + std::to_string(ids.size()) + " tokens");
  const std::vector<std::vector<float>> inputs = layer_inputs(model, ids, usable_cores());
  progress.show("fitting " + std::to_string(files.shape.layers) + " layers");
  const Skew skew{fit_skew(*model, inputs, usable_cores()), q_rms(model->weights)};
  write_skew(path, files.shape, skew,
             {{"model", files.shape.name},
              {"text", std::filesystem::path(options.text).filename().string()},
              {"fit_tokens", std::to_string(ids.size())},
              {"commit", program_commit()}});
  progress.clear();
  std::cout << "  skew of " << files.shape.layers << " layers x " << files.shape.kv_heads
            << " KV heads, fitted on " << ids.size() << " tokens\n  result  " << path << "\n";
  return 0;
}

}  // namespace hybridgen::cli
