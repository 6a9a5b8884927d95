// hybridgen fit-lookahead: fits the predictor of queries to a model, from a text, and writes it beside the
// weights.
#include <chrono>
#include <filesystem>
#include <iomanip>
#include <iostream>
#include <sstream>

#include "cli/command.hpp"
#include "cli/experiment_options.hpp"
#include "cli/host_model_loader.hpp"
#include "cli/progress.hpp"
#include "cli/tokenizer.hpp"
#include "core/base/error.hpp"
#include "formats/lookahead_file.hpp"
#include "formats/program_commit.hpp"
#include "runtime/host/cores.hpp"
#include "runtime/lookahead/fit_predictor.hpp"
#include "runtime/weights/predictor_weights.hpp"

namespace hybridgen::cli {
namespace {

constexpr const char* kUsage =
    "hybridgen fit-lookahead MODEL --text FILE: lets the host work one layer ahead with better queries.\n\n"
    "A layer's queries are predicted from the input of the layer before. This fits, layer by layer, what the "
    "model's\n"
    "own q projection misses then: a ridge regression on the first tokens of the text, cut to a low rank. On "
    "the tokens\n"
    "behind them it measures how far queries and logits are off. Both go into lookahead.safetensors beside "
    "the weights,\n"
    "and `lookahead_predictor: fitted` and `lookahead: auto` read it. Never fit on the text that you measure "
    "quality on.\n\n"
    "  hybridgen fit-lookahead smollm2-135m-instruct --text /usr/share/common-licenses/GFDL-1.3\n";

constexpr Tokens kMostHeldOut = 512;
constexpr Tokens kLeastHeldOut = 64;

struct Options {
  std::string model;
  std::string text;
  std::string out;
  Tokens tokens = 2048;
  std::int64_t rank = 32;
  double ridge = 0.01;
  bool force = false;
};

void check_options(const Options& options, const ModelShape& shape, const std::string& path) {
  const std::int64_t most = std::min<std::int64_t>(shape.hidden, shape.q_width());
  if (options.text.empty()) throw BadInput("--text is missing: the text to fit on");
  if (options.tokens < 1) throw BadInput("--tokens must be at least 1: the tokens to fit on");
  if (options.rank < 1 || options.rank > most) {
    throw BadInput("--rank must lie between 1 and " + std::to_string(most) + ", what " + shape.name +
                   "'s q projection has");
  }
  if (!(options.ridge > 0)) throw BadInput("--ridge must be above 0, for example 0.01");
  if (shape.layers < 2) throw BadInput(shape.name + " has one layer: there is nothing to look ahead to");
  if (std::filesystem::exists(path) && !options.force) {
    throw BadInput(path + " exists; --force replaces it");
  }
}

// The tokens to fit on, and behind them those that are held out.
std::vector<std::int32_t> read_ids(const Options& options, const ModelFiles& files) {
  std::vector<std::int32_t> ids = read_prompt(options.text, files, 0);
  const Tokens known = std::min<Tokens>(static_cast<Tokens>(ids.size()), files.shape.max_context);
  if (known < options.tokens + kLeastHeldOut) {
    throw BadInput(options.text + ": " + std::to_string(known) +
                   " tokens can be read at once (the text's end, or the model's), too few to fit on " +
                   std::to_string(options.tokens) + " and to measure on " + std::to_string(kLeastHeldOut) +
                   " behind them; use a longer text or fewer --tokens");
  }
  ids.resize(static_cast<std::size_t>(std::min(known, options.tokens + kMostHeldOut)));
  return ids;
}

void print(const std::vector<FittedLayer>& layers) {
  std::cout << "  layer   cosine of queries   error of logits, thousandths of their standard deviation\n"
               "           plain    fitted    plain  plain corrected   fitted  fitted corrected\n"
            << std::fixed << std::setprecision(4);
  for (std::size_t i = 1; i < layers.size(); ++i) {
    const FittedLayer& layer = layers[i];
    std::cout << std::setw(7) << i << std::setw(11) << layer.cosine[0] << std::setw(10) << layer.cosine[1]
              << std::setprecision(0) << std::setw(9) << layer.error_permille[0][0] << std::setw(17)
              << layer.error_permille[0][1] << std::setw(9) << layer.error_permille[1][0] << std::setw(18)
              << layer.error_permille[1][1] << std::setprecision(4) << "\n";
  }
}

void write(const Options& options, const HostModel& model, const std::vector<FittedLayer>& fitted,
           const std::string& path) {
  std::vector<LookaheadLayer> layers;
  for (const FittedLayer& layer : fitted) {
    layers.push_back({reinterpret_cast<const std::byte*>(layer.down.data()),
                      reinterpret_cast<const std::byte*>(layer.up.data()), layer.cosine,
                      layer.error_permille});
  }
  std::ostringstream ridge;
  ridge << options.ridge;
  write_lookahead(path, model.shape, options.rank, q_rms(model.weights), layers,
                  {{"model", model.shape.name},
                   {"text", std::filesystem::path(options.text).filename().string()},
                   {"fit_tokens", std::to_string(options.tokens)},
                   {"ridge", ridge.str()},
                   {"commit", program_commit()}});
}

}  // namespace

int fit_lookahead_command(const std::vector<std::string>& arguments) {
  Options options;
  namespace po = boost::program_options;
  po::options_description description("options");
  auto add = description.add_options();
  add("text", po::value(&options.text), "text to fit on, or token ids (*.ids)");
  add("tokens", po::value(&options.tokens)->default_value(options.tokens),
      "fit on the first so many tokens; up to 512 behind them are held out to measure on");
  add("rank", po::value(&options.rank)->default_value(options.rank),
      "rank of what is added to a q projection");
  add("ridge", po::value(&options.ridge)->default_value(options.ridge, "0.01"),
      "the ridge, as a share of the inputs' mean square");
  add("out", po::value(&options.out), "file to write instead of the model folder's lookahead.safetensors");
  add("force", po::bool_switch(&options.force), "replace an existing file");
  if (!parse(arguments, kUsage, description, {{"MODEL", &options.model}})) return 0;
  ModelFiles files = find_model(options.model);
  require_weights(files);
  files.shape.predictor = {};  // an older fit is not read
  const std::string path = options.out.empty() ? files.folder + "/" + kLookaheadFile : options.out;
  check_options(options, files.shape, path);
  const std::vector<std::int32_t> ids = read_ids(options, files);
  const auto start = std::chrono::steady_clock::now();
  const std::shared_ptr<const HostModel> model = load_host_model(files);
  Progress progress("fit-lookahead");
  progress.show("running the model over " + std::to_string(ids.size()) + " tokens");
  const std::vector<std::vector<float>> inputs = layer_inputs(model, ids, usable_cores());
  const std::vector<FittedLayer> layers =
      fit_predictor(*model, inputs,
                    {options.rank, options.ridge, options.tokens,
                     [&](int done, int all) {
                       progress.show("layer " + std::to_string(done) + " of " + std::to_string(all));
                     }},
                    usable_cores());
  write(options, *model, layers, path);
  progress.clear();
  print(layers);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  std::cout << "  fitted on " << options.tokens << " tokens, measured on "
            << static_cast<Tokens>(ids.size()) - options.tokens << " behind them, in " << std::setprecision(1)
            << seconds.count() << " s\n  result  " << path << "\n";
  return 0;
}

}  // namespace hybridgen::cli
