#include "cli/bench_runs.hpp"

#include <algorithm>
#include <filesystem>
#include <sstream>

#include "cli/bench_stages.hpp"
#include "cli/card_file.hpp"
#include "cli/finish_run.hpp"
#include "cli/host_model_loader.hpp"
#include "core/base/error.hpp"
#include "core/driver/driver.hpp"
#include "core/residency/fits.hpp"
#include "formats/model.hpp"
#include "formats/result_folder.hpp"
#include "formats/yaml_reader.hpp"
#include "runtime/calibrate/decode_bench.hpp"
#include "runtime/calibrate/probe_rig.hpp"
#include "runtime/calibrate/token_agreement.hpp"
#include "runtime/cuda/bench/card_machine.hpp"
#include "runtime/cuda/bench/cuda_bench.hpp"
#include "runtime/cuda/card_weights.hpp"
#include "runtime/cuda/cuda_executor.hpp"
#include "runtime/host/cores.hpp"
#include "runtime/host/host_executor.hpp"
#include "study/bench_cases.hpp"

// Written by the build: the shapes' files, so that the program needs none.
#include "bench_shapes.hpp"

namespace hybridgen::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kSeed = 1;  // of made-up weights
constexpr double kMostGap = 0.02;   // between two logits that may swap places
constexpr Tokens kTokensPrompt = 512;
constexpr Tokens kTokensNew = 64;

std::vector<std::int32_t> made_up_ids(Tokens count, int vocab, int request) {
  std::vector<std::int32_t> ids;
  for (Tokens i = 0; i < count; ++i)
    ids.push_back(static_cast<std::int32_t>((i * 7919 + request * 131) % vocab));
  return ids;
}

CardFacts card_facts() {
  const cuda::Card card = cuda::bench_card();
  return {card.name, card.memory, usable_memory(), std::max(1, usable_cores() - 1)};
}

std::string told(const Measurement& figure) {
  std::ostringstream text;
  text.precision(4);
  text << figure.subject << ", " << figure.condition << ": " << figure.quantity << ' ' << figure.value << ' '
       << figure.unit;
  return text.str();
}

bool asked_for(const std::string& system, const std::vector<std::string>& systems) {
  return systems.empty() || std::find(systems.begin(), systems.end(), system) != systems.end();
}

// The named model, or where none is named made-up weights of SmolLM2-135M's shape.
std::shared_ptr<const HostModel> model_of_tokens(const std::string& name) {
  if (name.empty())
    return dummy_host_model(read_model_yaml(kSmollm2Yaml, "smollm2-135m-instruct.yaml"), kSeed);
  const ModelFiles files = find_model(name);
  if (files.folder.empty())
    throw NotAvailable("there are no weights of " + name +
                       " here; give --model a folder that has them, or leave it out for made-up ones");
  return load_host_model(files);
}

// One greedy run of a prompt of made-up ids, with the logits of every new token.
template <class Make>
GreedyRun greedy(const Machine& machine, const ModelShape& shape, const PresetEntry& preset,
                 const Make& make) {
  GreedyRun run;
  TokenFeed feed;
  feed.prompts.push_back(made_up_ids(kTokensPrompt, shape.vocab, 0));
  feed.on_logits = [&run](RequestId, Tokens, std::span<const float> logits) {
    run.logits.emplace_back(logits.begin(), logits.end());
  };
  const WorkloadShape workload{1, kTokensPrompt, kTokensNew, false};
  const Params params = bench_params(preset.composition, {{"device_kv_tokens", 128}});
  Policy policy(preset.composition, {machine, shape, KvDtype::f16, params}, workload);
  check_fits(machine, policy.memory_plan());
  const std::unique_ptr<RealExecutor> executor = make(policy.memory_plan(), feed);
  Driver(machine, shape, workload, policy, *executor).run();
  const auto& tokens = executor->tokens(RequestId(0));
  run.tokens.assign(tokens.begin() + kTokensPrompt, tokens.end());
  return run;
}

}  // namespace

void check_systems(const std::vector<std::string>& systems) {
  std::vector<std::string> names;
  for (const DecodeCase& each : decode_cases()) names.push_back(each.name);
  for (const std::string& system : systems) {
    if (std::find(names.begin(), names.end(), system) == names.end())
      throw BadInput("--system " + system + ": unknown; " + name_remedy(system, names));
  }
}

BenchRuns::BenchRuns(BenchOptions options) : options_(std::move(options)) {}

const Platform& BenchRuns::platform() {
  if (platform_) return *platform_;
  write_card_file(options_, card_facts());
  platform_ = std::make_shared<const Platform>(load_platform(card_file(options_)));
  return *platform_;
}

std::shared_ptr<const HostModel> BenchRuns::dummy_model() {
  if (!dummy_) dummy_ = dummy_host_model(read_model_yaml(kLlama8bYaml, "llama-3.1-8b.yaml"), kSeed);
  return dummy_;
}

std::shared_ptr<const cuda::CardWeights> BenchRuns::card_weights() {
  if (!card_weights_) card_weights_ = cuda::weights_on_card(*dummy_model());
  return card_weights_;
}

std::vector<Measurement> BenchRuns::decode(Tokens context) {
  const Machine& machine = platform().machine;
  const std::shared_ptr<const HostModel> model = dummy_model();
  std::vector<Measurement> figures;
  for (const DecodeCase& each : decode_cases()) {
    if (!asked_for(each.name, options_.systems)) continue;
    DecodeBench bench;
    bench.name = each.name;
    bench.composition = each.composition;
    bench.params = each.params;
    bench.context = context;
    try {
      const auto measured = measure_decode(
          machine, model->shape, bench, [&](const MemoryPlan& plan, TokenFeed feed, Tokens new_tokens) {
            CudaOptions options;
            options.most_query_tokens = 1;
            options.random_kv = true;
            options.weights = card_weights();
            return make_cuda_executor(machine, model, plan, std::move(feed), new_tokens, options);
          });
      options_.line("  " + told(measured.front()));
      figures.insert(figures.end(), measured.begin(), measured.end());
    } catch (const UserError& error) {
      // Too large for this machine, or a part that this executor does not play: said, and the next one goes
      // on.
      figures.push_back({each.name, std::to_string(context) + " tokens: " + error.what(), "not possible here",
                         "1", 1, 0, std::nullopt});
    }
  }
  return figures;
}

std::vector<Measurement> BenchRuns::recorded() {
  const Platform& card = platform();
  const std::shared_ptr<const HostModel> model = dummy_model();
  std::vector<Measurement> figures;
  for (const RecordedCase& each : recorded_cases(model->shape.name)) {
    Experiment experiment = each.experiment;
    experiment.platform = card.machine.name();
    const std::string folder = (fs::path(options_.out) / "recorded" / each.name).string();
    if (fs::exists(folder) || !asked_for(experiment.composition.preset, options_.systems)) continue;
    fs::create_directories(fs::path(folder).parent_path());
    ResultHeader header;
    header.executor = "cuda";
    header.outcome_source = "kernels";
    header.notes = {"made-up weights and prompt: a timing, not a text"};
    std::vector<Timeline> timelines;
    for (int repeat = 0; repeat < experiment.repeat; ++repeat) {
      TokenFeed feed;
      for (int i = 0; i < experiment.batch; ++i)
        feed.prompts.push_back(made_up_ids(experiment.prompt_tokens, model->shape.vocab, i));
      const WorkloadShape workload = experiment.workload();
      Policy policy(experiment.composition,
                    {card.machine, model->shape, experiment.kv_dtype, experiment.params}, workload);
      check_fits(card.machine, policy.memory_plan());
      CudaOptions options;
      options.weights = card_weights();
      const auto executor =
          make_cuda_executor(card.machine, model, policy.memory_plan(), feed, experiment.new_tokens, options);
      timelines.push_back(Driver(card.machine, model->shape, workload, policy, *executor).run());
      header.repeats.push_back(metrics_of(timelines.back()));
      options_.line("  " + each.name + ": TPOT " + std::to_string(header.repeats.back().tpot_mean_ms) +
                    " ms");
      for (const std::string& warning : executor->warnings()) header.notes.push_back(warning);
    }
    const std::size_t kept = median_run(header.repeats);
    write_result(folder, false, experiment, card, header, timelines[kept]);
    fs::remove(fs::path(folder) / "trace.json");  // drawn from ops.csv again; most of the folder's size
    figures.push_back({each.name, experiment.composition.preset, "TPOT", "ms",
                       header.repeats[kept].tpot_mean_ms, 0, std::nullopt});
  }
  return figures;
}

std::vector<Measurement> BenchRuns::tokens() const {
  const std::shared_ptr<const HostModel> model = model_of_tokens(options_.model);
  const std::string weights = options_.model.empty() ? ", made-up weights" : "";
  const LocalLanes lanes{std::max(1, usable_cores() / 2), std::max(1, usable_cores() - usable_cores() / 2)};
  const Machine local = bare_local_machine(lanes, usable_memory());
  // Rates do not enter: a card as it is, before anything was measured on it.
  const CardFacts facts = card_facts();
  const Machine card = cuda::bare_card_machine(facts.card_memory, facts.host_memory, facts.host_threads);
  std::vector<Measurement> figures;
  for (const PresetEntry& preset : preset_registry()) {
    const GreedyRun host =
        greedy(local, model->shape, preset, [&](const MemoryPlan& plan, const TokenFeed& feed) {
          return std::make_unique<HostExecutor>(local, model, plan, feed, kTokensNew);
        });
    const GreedyRun gpu =
        greedy(card, model->shape, preset, [&](const MemoryPlan& plan, const TokenFeed& feed) {
          return make_cuda_executor(card, model, plan, feed, kTokensNew);
        });
    const std::string condition = model->shape.name + weights + ", " + std::to_string(kTokensNew) +
                                  " tokens behind " + std::to_string(kTokensPrompt);
    for (Measurement& figure : token_agreement(preset.name, condition, host, gpu, kMostGap))
      figures.push_back(std::move(figure));
  }
  return figures;
}

}  // namespace hybridgen::cli
