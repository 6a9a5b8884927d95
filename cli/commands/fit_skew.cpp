// hybridgen fit-skew: the skew of a model's queries, from a text, beside its weights.
#include <iostream>

#include "cli/command.hpp"
#include "cli/experiment_options.hpp"
#include "cli/host_model_loader.hpp"
#include "cli/skew_fit.hpp"
#include "cli/tokenizer.hpp"
#include "core/base/error.hpp"
#include "formats/skew_file.hpp"

namespace hybridgen::cli {
namespace {

constexpr const char* kUsage =
    "hybridgen fit-skew MODEL --text FILE: the skew by which a few columns of q and k carry most of a "
    "score.\n\n"
    "The first tokens of the text pass the model with full attention; per layer and KV head the rotated "
    "queries are\n"
    "collected, and their right singular vectors are the skew. Written as skew.safetensors beside the "
    "weights; "
    "needed by\n"
    "the preset infinigen. Use a text that nothing is measured on.\n\n"
    "  hybridgen fit-skew models/smollm2-135m-instruct --text /usr/share/common-licenses/GFDL-1.3\n";

}  // namespace

int fit_skew_command(const std::vector<std::string>& arguments) {
  std::string name;
  std::string text;
  std::string out;
  Tokens tokens = 2048;
  namespace po = boost::program_options;
  po::options_description description("options");
  auto add = description.add_options();
  add("text", po::value(&text), "text to collect queries from, or token ids (*.ids)");
  add("tokens", po::value(&tokens), "use the first so many tokens: 2048");
  add("out", po::value(&out), "write here instead of beside the weights");
  if (!parse(arguments, kUsage, description, {{"MODEL", &name}})) return 0;
  if (text.empty()) throw BadInput("--text is missing: the text to collect queries from");
  if (tokens < 1) throw BadInput("--tokens must be at least 1");
  const ModelFiles files = find_model(name);
  require_weights(files);
  if (tokens > files.shape.max_context) {
    throw BadInput("--tokens " + std::to_string(tokens) + ": the model goes up to " +
                   std::to_string(files.shape.max_context));
  }
  const std::vector<std::int32_t> ids = read_prompt(text, files, tokens);
  const std::string path = out.empty() ? skew_path(files.folder) : out;
  write_skew(path, files.shape, fit_skew(load_host_model(files), ids));
  std::cout << "  skew of " << files.shape.layers << " layers x " << files.shape.kv_heads
            << " KV heads, from " << tokens << " tokens  " << path << "\n";
  return 0;
}

}  // namespace hybridgen::cli
