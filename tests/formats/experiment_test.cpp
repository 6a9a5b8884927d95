#include "formats/experiment_reader.hpp"
#include "tests/formats/support.hpp"

namespace hybridgen {
namespace {

const char* const kHead =
    "platform: p\nmodel: m\nworkload: {prompt_file: t.txt, prompt_tokens: 8, new_tokens: 4, batch: 1}\n"
    "seed: 1\nrepeat: 1\n";

Experiment with_policy(const std::string& policy, const Overrides& overrides = {}) {
  return read_experiment(kHead + ("policy: {" + policy + "}\n"), "e.yaml", overrides);
}
std::string said(const std::string& policy, const Overrides& overrides = {}) {
  return complaint([&] { with_policy(policy, overrides); });
}

void expect_equal(const Experiment& a, const Experiment& b) {
  EXPECT_EQ(to_yaml(a), to_yaml(b));
  EXPECT_EQ(a.prompt_file, b.prompt_file);
  EXPECT_EQ(a.params.all(), b.params.all());
  EXPECT_EQ(a.kv_dtype, b.kv_dtype);
  EXPECT_EQ(a.outcomes, b.outcomes);
  EXPECT_EQ(a.outcomes_from, b.outcomes_from);
  EXPECT_EQ(a.seed, b.seed);
  EXPECT_EQ(a.stop_at_end_of_sequence, b.stop_at_end_of_sequence);
  for (const std::string& slot : part_slots())
    EXPECT_EQ(*a.composition.choice(slot), *b.composition.choice(slot));
}

TEST(Experiment, schema_decides_which_parameters_there_are) {
  const Experiment e = with_policy("preset: hybridgen, device_kv_tokens: 1024, topk_ratio: 0.05");
  EXPECT_EQ(e.params.get("topk_ratio"), 50'000);
  EXPECT_EQ(e.params.get("device_kv_tokens"), 1024);
  EXPECT_EQ(e.kv_dtype, KvDtype::f16);
  EXPECT_EQ(said("preset: hybridgen, device_kv_tokens: 1024"),
            "e.yaml:6:9: policy.topk_ratio: missing; add topk_ratio: a number between 0 and 1");
  EXPECT_EQ(
      said("preset: hybridgen, device_kv_tokens: 0, topk_ratio: 0.0000001"),
      "e.yaml:6:47: policy.device_kv_tokens: 0 is out of range; write an integer between 1 and "
      "1099511627776\n"
      "e.yaml:6:62: policy.topk_ratio: 0.0000001 has more digits than are kept; round it to a multiple of "
      "0.000001");
  EXPECT_EQ(
      said("preset: full-gpu, topk_ratio: 0.05"),
      "e.yaml:6:28: policy.topk_ratio: belongs to select: top-k, but this policy has no select; remove it");
  EXPECT_EQ(said("preset: hybridgen, select: threshold, device_kv_tokens: 9, topk_ratio: 0.05"),
            "e.yaml:6:69: policy.topk_ratio: belongs to select: top-k, but select is threshold; remove it");
  EXPECT_EQ(said("preset: hybridgen, select: threshold, device_kv_tokens: 9, select_by: kv-group-best"),
            "e.yaml:6:80: policy.select_by: 'kv-group-best' is for select: top-k; valid here: query-head, "
            "kv-group");
}

TEST(Experiment, parts_replace_those_of_the_preset) {
  const Experiment e = with_policy("preset: hybridgen, select: threshold, alpha: 4.5, device_kv_tokens: 9");
  EXPECT_EQ(e.composition.select, "threshold");
  EXPECT_EQ(e.params.get("alpha"), 4'500);
  EXPECT_EQ(e.params.get("max_rows_ratio"), 200'000);  // the part's own default
  EXPECT_EQ(
      said("preset: hybrigen"),
      "e.yaml:6:18: policy.preset: unknown preset 'hybrigen'; did you mean hybridgen? (valid: full-gpu, "
      "flexgen, flexgen-cpu-attention, hybridgen, quest, streaming-llm, h2o, snapkv, infinigen)");
  EXPECT_EQ(
      said("preset: full-gpu, select: all"),
      "e.yaml:6:28: policy.select: attention device uses no select; remove it or choose another attention");
}

// As messages list them: a new part is among them unasked.
std::string parts_of(const std::string& slot) {
  std::string names;
  for (const PartEntry& part : part_registry()) {
    if (slot == part.slot()) names += (names.empty() ? "" : ", ") + part.name;
  }
  return names;
}

TEST(Experiment, another_attention_brings_its_own_slots) {
  const Experiment exact = with_policy(
      "preset: flexgen, attention: logit-parallel, select: all, split: fixed, lookahead: off, "
      "device_kv_tokens: 5");
  EXPECT_EQ(exact.composition.placement, "unified");
  EXPECT_EQ(said("preset: flexgen, attention: logit-parallel, select: all, lookahead: off"),
            "e.yaml:6:9: policy.split: missing; add split: a split part (valid: " + parts_of("split") + ")");
  const Experiment plain = with_policy("preset: hybridgen, attention: device");
  EXPECT_EQ(plain.composition.select, "");
  EXPECT_EQ(said("preset: hybridgen, attention: devise"),
            "e.yaml:6:40: policy.attention: unknown attention part 'devise'; did you mean device? (valid: " +
                parts_of("attention") + ")");
}

TEST(Experiment, outcomes_from_only_with_recorded) {
  const auto outcomes = [](const std::string& text) {
    return read_experiment(kHead + std::string("policy: {preset: full-gpu}\noutcomes: {") + text + "}\n",
                           "e.yaml");
  };
  EXPECT_EQ(outcomes("source: recorded, from: traces/x").outcomes_from, "traces/x");
  EXPECT_EQ(outcomes("source: fixed").outcomes, OutcomeSourceKind::fixed);
  EXPECT_EQ(complaint([&] { outcomes("source: recorded"); }),
            "e.yaml:7:11: outcomes.from: missing; add from: text");
  EXPECT_EQ(complaint([&] { outcomes("source: fixed, from: x"); }),
            "e.yaml:7:27: outcomes.from: only source: recorded and source: locality read something, and "
            "source is fixed; remove it");
}

TEST(Experiment, overrides_come_before_the_checks) {
  EXPECT_EQ(with_policy("preset: full-gpu", {{"workload.batch", "4"}, {"workload.batch", "8"}}).batch, 8);
  EXPECT_EQ(with_policy("preset: no", {{"policy.preset", "full-gpu"}}).composition.preset, "full-gpu");
  EXPECT_EQ(with_policy("preset: full-gpu", {{"outcomes.source", "fixed"}}).outcomes,
            OutcomeSourceKind::fixed);
  EXPECT_EQ(said("preset: full-gpu", {{"polcy.kv_dtype", "fp32"}}),
            "--set polcy.kv_dtype=fp32: polcy: unknown key; did you mean policy?");
  EXPECT_EQ(said("preset: full-gpu", {{"workload.batch", "2x"}}),
            "--set workload.batch=2x: workload.batch: expected an integer, found text '2x'; write an integer "
            "between 1 and 1000000");
  EXPECT_EQ(said("preset: full-gpu", {{"seed", ""}}),
            "--set seed=: seed: has no value; write an integer of at least 0");
}

TEST(Experiment, Unset_takesAKeyOutOrSaysThatItIsNotThere) {
  const std::string policy =
      "preset: hybridgen, device_kv_tokens: 8, topk_ratio: 0.5, feedback: {interval: 2}";
  EXPECT_EQ(with_policy(policy, {{"policy.feedback", {}}}).params.get("topk_ratio"), 500'000);
  const Overrides replaced = {{"policy.feedback", {}},
                              {"policy.topk_ratio", {}},
                              {"policy.device_kv_tokens", {}},
                              {"policy.preset", "full-gpu"}};
  EXPECT_EQ(with_policy(policy, replaced).composition.attention, "device");
  EXPECT_EQ(
      said("preset: full-gpu", {{"policy.topk_ratio", {}}}),
      "--unset policy.topk_ratio: policy.topk_ratio: is not there; leave it out, or write the key as the "
      "file does");
  EXPECT_EQ(
      said("preset: full-gpu", {{"policy.preset.x", {}}}),
      "--unset policy.preset.x: policy.preset.x: is not there; leave it out, or write the key as the file "
      "does");
}

TEST(Experiment, yaml_reads_back_equal) {
  for (const char* policy :
       {"preset: full-gpu, kv_dtype: fp32", "preset: full-gpu, kv_dtype: bf16",
        "preset: full-gpu, kv_dtype: int8", "preset: flexgen, placement: semantic",
        "preset: hybridgen, device_kv_tokens: 7, topk_ratio: 0.000001",
        "preset: hybridgen, select: threshold, alpha: 0.001, max_rows_ratio: 1, device_kv_tokens: 1",
        "preset: flexgen, attention: logit-parallel, select: all, split: fixed, lookahead: off, "
        "device_kv_tokens: 5"}) {
    Experiment e = with_policy(policy);
    e.prompt_file = "a file: with #odd name.txt";
    e.outcomes = OutcomeSourceKind::recorded;
    e.outcomes_from = "traces/\"x\"";
    e.seed = 9223372036854775807;
    e.stop_at_end_of_sequence = true;
    expect_equal(read_experiment(to_yaml(e), "again.yaml"), e);
  }
}

Experiment with_workload(const std::string& workload) {
  return read_experiment("platform: p\nmodel: m\nworkload: {prompt_file: t.txt, " + workload +
                             "}\nseed: 1\nrepeat: 1\npolicy: {preset: full-gpu}\n",
                         "e.yaml");
}

TEST(Experiment, equal_requests_read_one_stretch_after_the_other) {
  const Experiment e = with_workload("prompt_tokens: 8, new_tokens: 4, batch: 3");
  EXPECT_EQ(e.all_requests(), (std::vector<RequestEntry>{{{8, 4}, 0}, {{8, 4}, 8}, {{8, 4}, 16}}));
  EXPECT_EQ(e.workload().batch, 3);
}

TEST(Experiment, listed_requests_have_their_own_sizes_and_read_on_where_the_last_prompt_ended) {
  const Experiment e = with_workload(
      "batch: 2, requests: [{prompt_tokens: 8, new_tokens: 4}, {prompt_tokens: 5, new_tokens: 1, "
      "prompt_start: 100}, "
      "{prompt_tokens: 2, new_tokens: 3}]");
  EXPECT_EQ(e.all_requests(), (std::vector<RequestEntry>{{{8, 4}, 0}, {{5, 1}, 100}, {{2, 3}, 105}}));
  EXPECT_EQ(e.workload().batch, 2);
  EXPECT_EQ(read_experiment(to_yaml(e), "again.yaml").requests, e.requests);
}

TEST(Experiment, requests_and_equal_sizes_exclude_each_other) {
  EXPECT_EQ(complaint([] {
              with_workload("batch: 2, new_tokens: 3, requests: [{prompt_tokens: 8, new_tokens: 4}]");
            }),
            "e.yaml:3:42: workload.new_tokens: workload.requests gives every request its own; remove one of "
            "the two");
  EXPECT_EQ(
      complaint([] { with_workload("batch: 2"); }),
      "e.yaml:3:11: workload.requests: missing, and so are prompt_tokens and new_tokens; add these two, or "
      "requests with their own");
  EXPECT_EQ(
      complaint([] { with_workload("batch: 2, requests: [{prompt_tokens: 0, new_tokens: 4}]"); }),
      "e.yaml:3:69: workload.requests[0].prompt_tokens: 0 is out of range; write an integer between 1 and "
      "1099511627776");
}

TEST(Experiment, relative_paths_current_directory_before_the_files) {
  TempFolder temp;
  std::filesystem::create_directories(temp / "sub");
  spill(temp / "sub/t.txt", "beside the file");
  spill(temp / "sub/e.yaml", std::string(kHead) + "policy: {preset: full-gpu}\n");
  EXPECT_EQ(load_experiment(temp / "sub/e.yaml").prompt_file, temp / "sub/t.txt");
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(temp / "");
  spill(temp / "t.txt", "here");
  const std::string found = load_experiment(temp / "sub/e.yaml").prompt_file;
  std::filesystem::current_path(before);
  EXPECT_EQ(found, "t.txt");
  EXPECT_EQ(with_policy("preset: full-gpu").prompt_file, "t.txt");  // nowhere: as written, run will complain
}

TEST(Experiment, shipped_configs_load_and_differ_in_policy_only) {
  const std::vector<std::string> in_demo = {"full-gpu", "flexgen", "hybridgen"};
  std::vector<std::string> in_h100 = in_demo;
  in_h100.push_back("flexgen-cpu-attention");
  const std::vector<std::string> in_budget = {"streaming-llm", "h2o", "snapkv"};
  in_h100.insert(in_h100.end(), in_budget.begin(), in_budget.end());
  for (const auto& [folder, names] :
       {std::pair("configs/demo/", in_demo), {"configs/h100/", in_h100}, {"configs/budget/", in_budget}}) {
    std::string before;
    for (const std::string& name : names) {
      const Experiment e = load_experiment(source_path(std::string(folder) + name + ".yaml"));
      EXPECT_EQ(e.composition.preset, name);
      const std::string yaml = to_yaml(e);
      const std::string rest = yaml.substr(0, yaml.find("policy:")) + yaml.substr(yaml.find("outcomes:"));
      if (!before.empty()) {
        EXPECT_EQ(rest, before);
      }
      before = rest;
    }
  }
}

TEST(Experiment, empty_file_says_what_to_write) {
  EXPECT_EQ(
      complaint([] { read_experiment("", "e.yaml"); }),
      "e.yaml:1:1: the file is empty; write an experiment: platform, model, workload, policy, seed, repeat");
}

}  // namespace
}  // namespace hybridgen
