// hybridgen accuracy: what a policy costs in answers. Two real runs side by side, teacher-forced on the same
// text: full attention on the device and the experiment's policy; their logits are compared token by token.
#include <iostream>

#include "cli/command.hpp"
#include "cli/experiment_options.hpp"
#include "cli/forced_run.hpp"
#include "cli/host_model_loader.hpp"
#include "cli/progress.hpp"
#include "cli/tokenizer.hpp"
#include "core/base/error.hpp"
#include "formats/experiment_model.hpp"
#include "formats/quality_summary.hpp"
#include "runtime/host/tier_placement.hpp"
#include "study/accuracy.hpp"

namespace hybridgen::cli {
namespace {

constexpr const char* kUsage =
    "hybridgen accuracy EXPERIMENT.yaml --text FILE --from N: quality of the real model under the policy.\n\n"
    "The first N tokens of the text are prefilled with full attention; every later token is fed with the "
    "policy in\n"
    "force at every layer, and the prediction after it is held against the text and against full attention.\n"
    "Perplexity ratios below 1.003 and small differences of mean KL are noise; the standard errors say how "
    "small.\n\n"
    "  hybridgen accuracy configs/demo/hybridgen.yaml --text /usr/share/common-licenses/GPL-3 --from 4096\n";

QualitySummary measure(const LoadedExperiment& loaded, const std::vector<std::int32_t>& ids, Tokens from) {
  const std::shared_ptr<const HostModel> model = load_host_model(
      loaded.model, source_of(loaded.platform.machine, *loaded.platform.machine.tier_of(TierKind::hbm)));
  ForcedRun reference(loaded, find_preset("full-gpu")->composition, {}, model, ids, from);
  AttentionMeter attention;
  ForcedRun policy(loaded, loaded.experiment.composition, loaded.experiment.params, model, ids, from,
                   [&attention](const AttentionSample& sample) {
                     attention.add(sample.layer, sample.cosine, sample.recall, sample.captured_mass);
                   });
  Progress progress("accuracy");
  QualityMeter meter;
  for (auto position = static_cast<std::size_t>(from) - 1; reference.advance() && policy.advance();
       ++position) {
    // The prompt's last position was attended in full by both: it says nothing about the policy.
    if (position < static_cast<std::size_t>(from)) continue;
    meter.add(reference.logits(), policy.logits(), ids[position + 1]);
    progress.show("token " + std::to_string(position + 1) + " of " + std::to_string(ids.size()));
  }
  QualitySummary summary = meter.summary();
  summary.layers = attention.layers();
  for (LayerQuality& layer : summary.layers) layer.mode = name_of(policy.policy().lookahead(layer.layer));
  summary.notes = policy.policy().notes();
  return summary;
}

}  // namespace

int accuracy_command(const std::vector<std::string>& arguments) {
  ExperimentOptions options;
  std::string text;
  Tokens from = 0;
  Tokens limit = 0;
  namespace po = boost::program_options;
  po::options_description description("options");
  auto add = description.add_options();
  add("text", po::value(&text), "text to predict, or token ids (*.ids)");
  add("from", po::value(&from), "tokens that are prefilled with full attention");
  add("tokens", po::value(&limit), "use only the first so many tokens of the text");
  add("platform", po::value(&options.platform),
      "platform to use instead of the experiment's: a name or a file");
  add("set", po::value(&options.set)->composing(), "KEY.PATH=VALUE: replace a value of the experiment");
  add("json", po::bool_switch(&options.json), "print JSON on standard output");
  if (!parse(arguments, kUsage, description, {{"EXPERIMENT.yaml", &options.file}})) return 0;
  if (text.empty()) throw BadInput("--text is missing: the text to predict");
  if (from < 1) throw BadInput("--from must be at least 1: the tokens that are prefilled");
  if (limit < 0) throw BadInput("--tokens must not be negative: 0 is the whole text");
  const LoadedExperiment loaded = load(options);
  if (loaded.experiment.weights == WeightSource::dummy) {
    throw BadInput(options.file + ": weights: dummy weights answer nothing; use weights: files");
  }
  refuse_assumed_context(loaded.experiment);
  const std::vector<std::int32_t> ids = read_prompt(text, loaded.model, limit);
  const auto tokens = static_cast<Tokens>(ids.size());
  if (from > tokens - 2) {
    throw BadInput(text + " has " + std::to_string(tokens) + " tokens; --from " + std::to_string(from) +
                   " leaves nothing to predict");
  }
  if (tokens > loaded.model.shape.max_context) {
    throw BadInput(text + " has " + std::to_string(tokens) + " tokens, the model goes up to " +
                   std::to_string(loaded.model.shape.max_context) + "; give --tokens");
  }
  const QualitySummary quality = measure(loaded, ids, from);
  std::cout << (options.json ? to_json(quality) : to_text(quality));
  return 0;
}

}  // namespace hybridgen::cli
