// A platform from a card's micro-benchmarks, and the runs that bench-machine makes with it.
#include "study/card_platform.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "core/base/error.hpp"
#include "formats/platform_reader.hpp"
#include "formats/platform_writer.hpp"
#include "runtime/cuda/playable.hpp"
#include "study/bench_cases.hpp"

namespace hybridgen {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

void add(BenchResult& result, const std::string& subject, const std::string& condition,
         const std::string& quantity, double value) {
  result.figures.push_back({subject, condition, quantity, "?", value, 0.05, std::nullopt});
}

std::vector<BenchResult> results() {
  std::vector<BenchResult> list(3);
  for (BenchResult& result : list) result.card = "a card";
  list[0].stage = "kernels";
  add(list[0], "stream_read", "4096 MiB", "rate", 3000);
  double rate = 2000;
  for (const char* kernel : {"attend_tensor", "logits_tensor"})
    add(list[0], kernel, "32768 tokens, f16", "rate", rate += 10);
  add(list[0], "joint_tensor", "1024 tokens on the card", "rate", rate += 10);
  add(list[0], "copy_rows", "within the card", "rate", rate += 10);
  for (const char* matrix : {"qkv", "attention_out", "gate_up", "down", "lm_head"})
    add(list[0], "gemv", std::string(matrix) + " 1x1", "rate", rate += 10);
  add(list[0], "gemm", "qkv", "arithmetic rate", 80);
  add(list[0], "prefill_tensor", "4096", "arithmetic rate", 200);
  list[1].stage = "copies";
  for (const char* by : {"copy engine", "kernel over mapped memory"}) {
    const double less = by[0] == 'k' ? 5 : 0;
    for (const char* direction : {"h2d", "d2h", "both at once"}) {
      add(list[1], by, std::string(direction) + ", 4 KiB", "time", 2.5);
      add(list[1], by, std::string(direction) + ", 256 MiB", "rate", (direction[0] == 'b' ? 90 : 55) - less);
    }
  }
  add(list[1], "host memory", "15 threads", "streaming read", 246);
  list[2].stage = "launches";
  add(list[2], "graph replay", "a graph", "time on the card per node", 1.5);
  add(list[2], "graph replay", "a graph", "host time", 9);
  add(list[2], "flag join", "card to CPU and back", "round trip", 4);
  return list;
}

Machine machine() {
  const CardFacts facts{"a card", 78LL << 30, 100LL << 30, 15};
  const std::string text = platform_yaml(card_platform(facts, results()));
  return machine_from(read_platform_description(text, "card.yaml"));
}

TEST(CardPlatform, FromItsStages_isAFileThatLoadsAndThatTheExecutorPlays) {
  const Machine card = machine();
  EXPECT_DOUBLE_EQ(card.tiers()[0].capacity, 78.0 * (1LL << 30));
  const auto gpu = card.lane(card.lane_of(Role::device)).processor;
  EXPECT_DOUBLE_EQ(card.costs(gpu).kernels[static_cast<std::size_t>(OpKind::attend)].bytes_per_s, 2010e9);
  EXPECT_DOUBLE_EQ(card.costs(gpu).kernels[static_cast<std::size_t>(OpKind::ffn)].flops_per_s, 80e12);
  EXPECT_DOUBLE_EQ(card.costs(gpu).kernels[static_cast<std::size_t>(OpKind::embed)].fixed_ns, 1500);
  EXPECT_EQ(card.lane(card.lane_of(Role::host)).threads, 15);
  EXPECT_EQ(card.lane(card.lane_of(Role::host)).first_core, 1);
  EXPECT_DOUBLE_EQ(card.copy_cost(Role::h2d).bytes_per_s, 50e9);
  ModelShape llama;
  llama.hidden = 4096;
  llama.query_heads = 32;
  llama.kv_heads = 8;
  llama.head_dim = 128;
  llama.ffn = 14336;
  EXPECT_NO_THROW(cuda::check_playable_by_cuda(card, llama, KvDtype::f16));
}

TEST(CardPlatform, MissingStage_isNamed) {
  std::vector<BenchResult> list = results();
  list.erase(list.begin() + 1);
  EXPECT_THAT([&] { card_platform({}, list); }, ThrowsMessage<NotAvailable>(HasSubstr("the stage copies")));
}

TEST(BenchCases, EveryPreset_hasAValueForEachParameter) {
  for (const PresetEntry& preset : preset_registry()) {
    const Params params = bench_params(preset.composition);
    for (const ParamSpec& spec : params_of(preset.composition)) {
      ASSERT_TRUE(params.has(spec.name));
      EXPECT_GE(params.get(spec.name), spec.least);
      EXPECT_LE(params.get(spec.name), spec.most);
    }
  }
  EXPECT_EQ(bench_params(find_preset("hybridgen")->composition, {{"topk_ratio", 7}}).get("topk_ratio"), 7);
}

TEST(BenchCases, Decode_everyPresetAndOneLayerAhead) {
  const std::vector<DecodeCase> cases = decode_cases();
  EXPECT_EQ(cases.size(), preset_registry().size() + 3);
  EXPECT_EQ(cases.back().composition.lookahead, "choose");
  for (std::size_t by = 0; by < 3; ++by) {
    EXPECT_EQ(cases[cases.size() - 3 + by].params.get("select_by"), static_cast<std::int64_t>(by));
  }
  EXPECT_EQ(cases.back().params.get("device_kv_tokens"), 1024);
}

TEST(BenchCases, EveryRecordedExperiment_comesBackFromItsOwnFile) {
  const std::string path = ::testing::TempDir() + "/recorded.yaml";
  for (RecordedCase recorded : recorded_cases("llama-3.1-8b")) {
    recorded.experiment.platform = "card";
    std::ofstream(path) << to_yaml(recorded.experiment);
    const Experiment back = load_experiment(path);
    EXPECT_EQ(back.params.all(), recorded.experiment.params.all()) << recorded.name;
    EXPECT_EQ(back.batch, recorded.experiment.batch);
    EXPECT_EQ(back.prompt_tokens, recorded.experiment.prompt_tokens);
  }
}

TEST(BenchCases, HoldOut_sharesNoContextWithWhatCalibrationOrValidationSees) {
  std::set<Tokens> seen;
  for (const Tokens context : decode_contexts()) seen.insert(context);
  int hold_outs = 0;
  const std::vector<RecordedCase> cases = recorded_cases("llama-3.1-8b");
  for (const RecordedCase& recorded : cases) {
    if (!recorded.hold_out) seen.insert(recorded.experiment.prompt_tokens);
  }
  for (const RecordedCase& recorded : cases) {
    if (!recorded.hold_out) continue;
    ++hold_outs;
    EXPECT_FALSE(seen.contains(recorded.experiment.prompt_tokens)) << recorded.name;
  }
  EXPECT_GE(hold_outs, 3);
}

}  // namespace
}  // namespace hybridgen
