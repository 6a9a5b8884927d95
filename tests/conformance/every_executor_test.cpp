// Every policy of the registry on every executor: the real run and the simulated ones decide the same, move
// the same bytes over the same channels, and a replay of the real run is the real run.
#include <gtest/gtest.h>

#include <algorithm>

#include "core/base/error.hpp"
#include "sim/fluid/fluid_executor.hpp"
#include "sim/simgrid/simgrid_executor.hpp"
#include "sim/world/platform_durations.hpp"
#include "sim/world/recorded_outcomes.hpp"
#include "sim/world/replay_durations.hpp"
#include "study/replay.hpp"
#include "tests/support/host_world.hpp"

namespace hybridgen::testing {
namespace {

constexpr int kPrompt = 60;
constexpr int kNew = 16;
constexpr std::int32_t kEndToken = 12;
constexpr int kEndOfFirst = 5;  // the first request's generated token with this index ends it

struct Case {
  std::string name;
  PolicyChoice choice;
  WorkloadShape workload;
};

// Smaller than their defaults, so that a context of these tests has several.
const std::map<std::string, std::int64_t> kSmall = {{"page_tokens", 4}, {"whole_layers", 1}};

// A value for a parameter that has no default, so that a policy nobody thought of here can be run.
std::int64_t some_value(const ParamSpec& spec) {
  // A budget is more than what a rule keeps in any case, and less than the prompt.
  const std::int64_t wanted = spec.kind == ParamKind::choice   ? spec.least
                              : spec.name == "budget_tokens"   ? 40
                              : spec.kind == ParamKind::tokens ? 20
                              : spec.kind == ParamKind::ratio  ? 150'000
                                                               : 2'000;
  return std::clamp(wanted, spec.least, spec.most);
}

PolicyChoice choice_of(const std::string& preset, const std::map<std::string, std::string>& parts) {
  PolicyChoice choice{preset, {}, parts, KvDtype::f16};
  for (const ParamSpec& spec : params_of(composition_of(choice))) {
    if (!spec.otherwise) choice.params[spec.name] = some_value(spec);
    if (kSmall.contains(spec.name)) choice.params[spec.name] = kSmall.at(spec.name);
  }
  return choice;
}

// The preset with one part replaced, for every part of the registry that fits a slot of it: a part that
// nobody thought of here is among them. An attention part says what the other slots are for, so it replaces
// none but where no preset has it; then the preset that fills every slot takes it.
std::vector<std::map<std::string, std::string>> ablations_of(const PresetEntry& preset) {
  const auto has = [](const PresetEntry& each, const PartEntry& part) {
    return *each.composition.choice(part.slot()) == part.name;
  };
  const auto in_a_preset = [&](const PartEntry& part) {
    return std::any_of(preset_registry().begin(), preset_registry().end(),
                       [&](const PresetEntry& each) { return has(each, part); });
  };
  const auto& slots = part_slots();
  const bool fills_every_slot = std::none_of(slots.begin(), slots.end(), [&](const std::string& slot) {
    return preset.composition.choice(slot)->empty();
  });
  std::vector<std::map<std::string, std::string>> ablations;
  for (const PartEntry& part : part_registry()) {
    const std::string slot = part.slot();
    if (preset.composition.choice(slot)->empty() || has(preset, part)) continue;
    if (slot == "attention" && !(fills_every_slot && !in_a_preset(part))) continue;
    ablations.push_back({{slot, part.name}});
  }
  return ablations;
}

// A part may refuse its company with a message: a scheduler of the selection without a selection.
bool is_refused(const PolicyChoice& choice) {
  const Machine machine = host_machine(1, true);
  const ModelShape model = tiny_shape();
  try {
    Policy(composition_of(choice), {machine, model, choice.kv_dtype, params_for(choice)}, {1, kPrompt, kNew});
    return false;
  } catch (const BadInput&) {
    return true;
  }
}

std::vector<Case> cases() {
  std::vector<std::pair<std::string, PolicyChoice>> choices;
  const auto add = [&](const std::string& preset, const std::map<std::string, std::string>& parts) {
    std::string name = preset;
    for (const auto& [slot, part] : parts) name += "_" + part;
    const PolicyChoice choice = choice_of(preset, parts);
    if (!is_refused(choice)) choices.emplace_back(name, choice);
  };
  for (const PresetEntry& preset : preset_registry()) {
    add(preset.name, {});
    for (const auto& parts : ablations_of(preset)) add(preset.name, parts);
  }
  add("hybridgen", {{"select", "threshold"}, {"placement", "semantic"}});
  for (const char* select : {"top-k", "threshold", "all"}) {
    add("hybridgen", {{"select", select}, {"placement", "semantic"}});
    choices.back().first += "_by_kv_group";
    choices.back().second.params["select_by"] = 1;
  }
  for (const char* lookahead : {"off", "choose"}) {
    add("hybridgen", {{"select", "top-k"}, {"lookahead", lookahead}});
    choices.back().first += "_by_best_of_kv_group";
    choices.back().second.params["select_by"] = 2;
  }
  add("hybridgen", {{"select", "threshold"}, {"placement", "semantic"}, {"lookahead", "choose"}});
  PolicyChoice corrected = choice_of("hybridgen", {{"lookahead", "use"}, {"select", "threshold"}});
  corrected.params["lookahead_correct"] = 1;
  corrected.params["sink_tokens"] = 4;
  choices.emplace_back("hybridgen_use_corrected_sinks", corrected);
  for (const char* preset : {"full-gpu", "flexgen", "hybridgen"}) {
    choices.emplace_back(std::string(preset) + "_bf16", choice_of(preset, {}));
    choices.back().second.kv_dtype = KvDtype::bf16;
  }
  for (const PresetEntry& preset : preset_registry()) {
    choices.emplace_back(preset.name + "_int8", choice_of(preset.name, {}));
    choices.back().second.kv_dtype = KvDtype::int8;
  }
  PolicyChoice pooled = choice_of("infinigen", {{"placement", "semantic"}});
  pooled.params["pool_tokens"] = 40;  // fewer than the prompt
  choices.emplace_back("infinigen_pool_semantic", pooled);
  std::vector<Case> all;
  for (auto& [name, choice] : choices) {
    std::replace_if(
        name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
    for (const int batch : {1, 2}) {
      for (const bool stop : {false, true}) {
        all.push_back({name + "_batch" + std::to_string(batch) + (stop ? "_stop" : ""),
                       choice,
                       {batch, kPrompt, kNew, stop}});
      }
    }
  }
  return all;
}

// What a split part learns from the Estimator is time, and time differs between the worlds. `fixed` and
// `newest` learn nothing; of a part that is not known here the test assumes that it does, and forces its
// decisions.
bool reads_time(const PolicyChoice& choice) {
  const std::string split = composition_of(choice).split;
  return !split.empty() && split != "fixed" && split != "newest";
}

class EveryExecutor : public ::testing::TestWithParam<Case> {
 protected:
  HostRun run_for_real() const {
    TokenFeed feed;
    feed.end_tokens = {kEndToken};
    for (int i = 0; i < GetParam().workload.batch; ++i) {
      feed.prompts.push_back(prompt_of(kPrompt, shape_.vocab, 11 + static_cast<std::uint32_t>(i)));
      std::vector<std::int32_t> forced = prompt_of(kNew, shape_.vocab, 99 + static_cast<std::uint32_t>(i));
      std::replace(forced.begin(), forced.end(), kEndToken, kEndToken + 1);
      if (i == 0) forced[kEndOfFirst] = kEndToken;
      feed.forced.push_back(forced);
    }
    return run_on_host(machine_, tiny_model(), GetParam().choice, GetParam().workload, std::move(feed));
  }

  Timeline drive(Executor& executor, const Timeline* decided) const {
    const PolicyChoice& choice = GetParam().choice;
    Policy policy(composition_of(choice), {machine_, shape_, choice.kv_dtype, params_for(choice)},
                  GetParam().workload);
    Driver driver(machine_, shape_, GetParam().workload, policy, executor);
    if (decided != nullptr) {
      std::vector<Decision> decisions;
      for (const StepEvent& step : decided->steps) decisions.push_back(step.decision);
      driver.force(decisions);
    }
    return driver.run();
  }

  // Its own decisions and the platform's durations; only the counts are the real run's.
  template <class SomeExecutor>
  Timeline simulate(const Timeline& real) const {
    SomeExecutor executor(machine_, std::make_unique<PlatformDurations>(machine_),
                          std::make_unique<RecordedOutcomes>(real));
    return drive(executor, reads_time(GetParam().choice) ? &real : nullptr);
  }

  template <class SomeExecutor>
  Timeline replay_of(const Timeline& real) const {
    SomeExecutor executor(machine_, std::make_unique<ReplayDurations>(real, ReplayCheck::bytes),
                          std::make_unique<RecordedOutcomes>(real));
    return drive(executor, &real);
  }

  void expect_same_plan_and_bytes(const Timeline& real, const Timeline& simulated) const {
    EXPECT_EQ(real.decision_hash, simulated.decision_hash);
    EXPECT_EQ(real.tier_peak_bytes, simulated.tier_peak_bytes);
    ASSERT_EQ(real.steps.size(), simulated.steps.size());
    for (std::size_t s = 0; s < real.steps.size(); ++s) {
      const StepEvent& a = real.steps[s];
      const StepEvent& b = simulated.steps[s];
      EXPECT_EQ(a.decision, b.decision) << "step " << s;
      EXPECT_EQ(a.structure, b.structure) << "step " << s;
      EXPECT_EQ(a.channel_bytes, b.channel_bytes) << "step " << s;
      ASSERT_EQ(a.ops.size(), b.ops.size()) << "step " << s;
      for (std::size_t i = 0; i < a.ops.size(); ++i) {
        EXPECT_EQ(a.ops[i].kind, b.ops[i].kind);
        EXPECT_EQ(a.ops[i].bytes, b.ops[i].bytes)
            << "step " << s << " op " << i << " " << name_of(a.ops[i].kind);
      }
    }
  }

  const Machine machine_ = host_machine(1, true);
  const ModelShape shape_ = tiny_shape();
};

TEST_P(EveryExecutor, RealAndSimulated_sameDecisionsAndBytes) {
  const Timeline real = run_for_real().timeline;
  {
    SCOPED_TRACE("fluid");
    expect_same_plan_and_bytes(real, simulate<FluidExecutor>(real));
  }
  SCOPED_TRACE("simgrid");
  expect_same_plan_and_bytes(real, simulate<SimGridExecutor>(real));
}

TEST_P(EveryExecutor, ReplayOfRealRun_equalTimeline) {
  const Timeline real = run_for_real().timeline;
  EXPECT_EQ(timeline_difference(real, replay_of<FluidExecutor>(real)), "");
  EXPECT_EQ(timeline_difference(real, replay_of<SimGridExecutor>(real)), "");
}

// Without this the other two could agree on runs in which nothing happens.
TEST_P(EveryExecutor, RealRun_asLongAsItsRequestsAndMovesBytes) {
  const Timeline real = run_for_real().timeline;
  const int requests = GetParam().workload.batch;
  const bool stop = GetParam().workload.stop_at_end_of_sequence;
  const bool first_alone = requests == 1;
  const int decodes = stop && first_alone ? kEndOfFirst : kNew - 1;
  ASSERT_EQ(real.steps.size(), static_cast<std::size_t>(requests + decodes));
  const std::size_t left_at_the_end = stop && !first_alone ? 1 : static_cast<std::size_t>(requests);
  EXPECT_EQ(real.steps.back().decision.rows.size(), left_at_the_end);
  for (const StepEvent& step : real.steps) {
    EXPECT_GT(step.channel_bytes[0], 0);
    EXPECT_LT(step.start, step.end);
  }
}

INSTANTIATE_TEST_SUITE_P(Registry, EveryExecutor, ::testing::ValuesIn(cases()),
                         [](const auto& each) { return each.param.name; });

// The list above really has what it is meant to cover.
TEST(EveryExecutorCases, Registry_everyPartIsAmongThem) {
  const std::vector<Case> all = cases();
  for (const PartEntry& part : part_registry()) {
    EXPECT_TRUE(std::any_of(
        all.begin(), all.end(),
        [&](const Case& each) { return *composition_of(each.choice).choice(part.slot()) == part.name; }))
        << part.slot() << " " << part.name;
  }
}

TEST(EveryExecutorCases, Registry_everyPresetIsAmongThem) {
  const std::vector<Case> all = cases();
  for (const PresetEntry& preset : preset_registry()) {
    EXPECT_EQ(std::count_if(all.begin(), all.end(),
                            [&](const Case& each) {
                              return each.choice.preset == preset.name && each.choice.parts.empty() &&
                                     each.choice.kv_dtype == KvDtype::f16;
                            }),
              4)
        << preset.name;
  }
}

}  // namespace
}  // namespace hybridgen::testing
