#include "cli/quality_bench.hpp"

#include "cli/host_model_loader.hpp"
#include "cli/tokenizer.hpp"
#include "core/base/error.hpp"
#include "formats/experiment_model.hpp"
#include "runtime/host/tier_placement.hpp"
#include "study/accuracy.hpp"
#include "study/budget.hpp"
#include "study/quality_table.hpp"

namespace hybridgen::cli {
namespace {

LoadedExperiment load_file(const QualityOptions& options, const std::string& file) {
  ExperimentOptions each = options.shared;
  each.file = file;
  LoadedExperiment loaded = load(each);
  if (loaded.experiment.weights == WeightSource::dummy) {
    throw BadInput(file + ": weights: dummy weights answer nothing; use weights: files");
  }
  refuse_assumed_context(loaded.experiment);
  return loaded;
}

void require_alike(const std::string& file, const Experiment& each, const std::string& first_file,
                   const Experiment& first) {
  if (each.model != first.model) {
    throw BadInput(file + ": model: " + each.model + " is not " + first.model + " of " + first_file +
                   "; quality is compared on one model");
  }
  if (each.kv_dtype != first.kv_dtype) {
    throw BadInput(file + ": policy.kv_dtype: " + name_of(each.kv_dtype) + " is not " +
                   name_of(first.kv_dtype) + " of " + first_file + "; quality is compared at one precision");
  }
}

void give_budget(QualitySubject& subject, Tokens budget, Tokens context) {
  if (budget == 0) return;
  const auto given = with_budget(subject.composition, subject.params, budget, context);
  if (!given) return;
  subject.params = *given;
  subject.budget = budget;
}

QualitySubject preset_subject(const PresetEntry& preset, Tokens budget, Tokens context) {
  QualitySubject subject{preset.name, preset.composition, {}};
  const std::vector<ParamSpec> specs = params_of(preset.composition);
  for (const ParamSpec& spec : specs) {
    if (spec.otherwise) subject.params.set(spec.name, *spec.otherwise);
  }
  give_budget(subject, budget, context);
  for (const ParamSpec& spec : specs) {
    if (subject.params.has(spec.name)) continue;
    throw BadInput("preset " + preset.name + " needs policy." + spec.name +
                   "; give --budget, or an experiment file that says it");
  }
  return subject;
}

// A file by its own name, without folder and ending.
std::string short_name(const std::string& file) {
  const std::size_t slash = file.find_last_of('/');
  const std::string name = slash == std::string::npos ? file : file.substr(slash + 1);
  return name.substr(0, name.find_last_of('.'));
}

// Of one request that grows to this context.
MemoryPlan plan_of(const QualitySubject& subject, const LoadedExperiment& loaded, Tokens context) {
  const Policy policy(
      subject.composition,
      {loaded.platform.machine, loaded.model.shape, loaded.experiment.kv_dtype, subject.params},
      {1, context, 1});
  return policy.memory_plan();
}

}  // namespace

void QualityOptions::add_to(boost::program_options::options_description& description) {
  namespace po = boost::program_options;
  auto add = description.add_options();
  add("text", po::value(&text), "text to predict, or token ids (*.ids)");
  add("from", po::value(&from), "tokens that are prefilled with full attention");
  add("tokens", po::value(&limit), "use only the first so many tokens of the text");
  add("platform", po::value(&shared.platform),
      "platform to use instead of the experiment's: a name or a file");
  add("set", po::value(&shared.set)->composing(), "KEY.PATH=VALUE: replace a value of every experiment");
  add("unset", po::value(&shared.unset)->composing(), "KEY.PATH: take a key out of every experiment");
  add("json", po::bool_switch(&shared.json), "print JSON on standard output");
}

void QualityOptions::check() const {
  if (text.empty()) throw BadInput("--text is missing: the text to predict");
  if (from < 1) throw BadInput("--from must be at least 1: the tokens that are prefilled");
  if (limit < 0) throw BadInput("--tokens must not be negative: 0 is the whole text");
}

LoadedExperiment load_first(const QualityOptions& options) {
  const std::string& first = options.subjects.front();
  if (find_preset(first) != nullptr) {
    throw BadInput(first + ": the first argument must be an experiment file, which says model and platform");
  }
  return load_file(options, first);
}

std::vector<QualitySubject> load_subjects(const QualityOptions& options, const LoadedExperiment& first,
                                          Tokens budget, Tokens context) {
  std::vector<QualitySubject> subjects;
  for (const std::string& subject : options.subjects) {
    if (const PresetEntry* preset = find_preset(subject)) {
      subjects.push_back(preset_subject(*preset, budget, context));
      continue;
    }
    const Experiment experiment = load_file(options, subject).experiment;
    require_alike(subject, experiment, options.subjects.front(), first.experiment);
    QualitySubject& each =
        subjects.emplace_back(QualitySubject{short_name(subject), experiment.composition, experiment.params});
    give_budget(each, budget, context);
  }
  for (const QualitySubject& each : subjects) require_skew(plan_of(each, first, context), first.model);
  return subjects;
}

std::vector<std::int32_t> read_quality_text(const QualityOptions& options, const ModelFiles& model) {
  std::vector<std::int32_t> ids = read_prompt(options.text, model, options.limit);
  const auto tokens = static_cast<Tokens>(ids.size());
  if (options.from > tokens - 2) {
    throw BadInput(options.text + " has " + std::to_string(tokens) + " tokens; --from " +
                   std::to_string(options.from) + " leaves nothing to predict");
  }
  if (tokens > model.shape.max_context) {
    throw BadInput(options.text + " has " + std::to_string(tokens) + " tokens, the model goes up to " +
                   std::to_string(model.shape.max_context) + "; give --tokens");
  }
  return ids;
}

QualityBench::QualityBench(const LoadedExperiment& loaded, std::vector<std::int32_t> ids, Tokens from)
    : loaded_(loaded), ids_(std::move(ids)), from_(from) {
  const Machine& machine = loaded.platform.machine;
  model_ = load_host_model(loaded.model, source_of(machine, *machine.tier_of(TierKind::hbm)));
}

// The prompt's last position is attended in full by every policy: it says nothing, and is not kept.
void QualityBench::run_reference(Progress& progress) {
  ForcedRun run(loaded_, find_preset("full-gpu")->composition, {}, model_, ids_, from_);
  progress.show("full attention, prompt");
  run.advance();
  while (run.advance()) {
    reference_.emplace_back(run.logits().begin(), run.logits().end());
    progress.show("full attention, token " + std::to_string(from_ + static_cast<Tokens>(reference_.size())) +
                  " of " + std::to_string(ids_.size()));
  }
}

QualityRow QualityBench::measure(const QualitySubject& subject) {
  Progress progress("quality");
  if (reference_.empty()) run_reference(progress);
  AttentionMeter attention;
  ForcedRun run(loaded_, subject.composition, subject.params, model_, ids_, from_, 0,
                [&attention](const AttentionSample& sample) {
                  attention.add(sample.layer, sample.cosine, sample.recall, sample.captured_mass);
                });
  progress.show(subject.name + ", prompt");
  run.advance();
  QualityMeter meter;
  auto position = static_cast<std::size_t>(from_);
  for (const std::vector<float>& reference : reference_) {
    run.advance();
    meter.add(reference, run.logits(), ids_[++position]);
    progress.show(subject.name + ", token " + std::to_string(position) + " of " +
                  std::to_string(ids_.size()));
  }
  QualityRow row{subject.name, subject.budget, meter.summary(), 0, 0};
  row.quality.layers = attention.layers();
  for (LayerQuality& layer : row.quality.layers) layer.mode = name_of(run.policy().lookahead(layer.layer));
  row.quality.notes = run.policy().notes();
  add_bytes(loaded_.platform.machine, run.timeline(), row);
  return row;
}

}  // namespace hybridgen::cli
