// One budget in every policy's own terms, and the shipped quality experiments by it.
#include "study/budget.hpp"

#include <gtest/gtest.h>

#include <filesystem>

#include "formats/experiment.hpp"
#include "study/quality_table.hpp"
#include "tests/support/source_path.hpp"

namespace hybridgen {
namespace {

const Composition& preset(const std::string& name) {
  return find_preset(name)->composition;
}

TEST(Budget, PolicyWithBudgetTokens_takesItAsItIs) {
  Params params;
  params.set("page_tokens", 16);
  const auto given = with_budget(preset("quest"), params, 768, 7638);
  ASSERT_TRUE(given);
  EXPECT_EQ(given->get("budget_tokens"), 768);
  EXPECT_EQ(given->get("page_tokens"), 16) << "its other parameters stay";
}

TEST(Budget, Hybridgen_readsTheBudgetAtTheLastContextAndLessBefore) {
  for (const Tokens budget : {1, 7, 256, 1024, 5000}) {
    const auto given = with_budget(preset("hybridgen"), {}, budget, 7638);
    ASSERT_TRUE(given);
    const Tokens device = given->get("device_kv_tokens");
    const auto rows = [&](Tokens context) {
      return device + given->get("topk_ratio") * (context - device) / kPpmOne;
    };
    EXPECT_LE(rows(7638), std::max<Tokens>(budget, 1));
    EXPECT_GE(rows(7638), budget - 1) << "but for the ratio's rounding";
    EXPECT_LT(rows(4096), rows(7638) + 1);
  }
}

TEST(Budget, MoreThanTheContext_selectsEverything) {
  const auto given = with_budget(preset("hybridgen"), {}, 9000, 7638);
  ASSERT_TRUE(given);
  EXPECT_EQ(given->get("topk_ratio"), kPpmOne);
}

TEST(Budget, PolicyThatReadsEverything_hasNone) {
  EXPECT_FALSE(with_budget(preset("full-gpu"), {}, 1024, 7638));
  EXPECT_FALSE(with_budget(preset("flexgen"), {}, 1024, 7638));
}

// The fairness rules that a file can keep or break.
TEST(QualityConfigs, EveryFile_sharesModelTypeTextAndBudget) {
  namespace fs = std::filesystem;
  constexpr Tokens kBudget = 1024;
  constexpr Tokens kContext = 7638;  // of the GPL-3, whose last token is predicted and never fed
  const std::string folder = source_path("configs/quality");
  const Experiment first = load_experiment(folder + "/full-gpu.yaml");
  int with_a_budget = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    SCOPED_TRACE(entry.path());
    const Experiment each = load_experiment(entry.path());
    // A preset's published settings, or a variant whose name begins with it.
    EXPECT_TRUE(entry.path().stem().string().starts_with(each.composition.preset));
    EXPECT_EQ(each.model, first.model);
    EXPECT_EQ(each.platform, first.platform);
    EXPECT_EQ(each.kv_dtype, first.kv_dtype);
    EXPECT_EQ(each.prompt_file, first.prompt_file);
    EXPECT_EQ(each.prompt_tokens, first.prompt_tokens);
    EXPECT_EQ(each.batch, first.batch);
    const auto given = with_budget(each.composition, each.params, kBudget, kContext);
    if (!given) continue;
    ++with_a_budget;
    EXPECT_EQ(each.params.all(), given->all()) << "the file's parameters are not those of the budget";
  }
  EXPECT_GE(with_a_budget, 8);
}

TEST(QualityTable, Bytes_ofDecodeStepsWithoutTheModelsOwn) {
  Machine machine("m");
  const ChannelId memory = machine.add_channel("dram", ChannelKind::memory, 1);
  const ChannelId link = machine.add_channel("up", ChannelKind::link, 1);
  const auto op = [](OpKind kind, Bytes bytes) {
    OpEvent event{};
    event.kind = kind;
    event.bytes = bytes;
    return event;
  };
  Timeline timeline;
  for (const Tokens position : {0, 10, 11}) {
    StepEvent step;
    step.decision.rows.push_back({RequestId(0), position, position == 0 ? 10 : 1});
    step.ops = {op(OpKind::ffn, 1000), op(OpKind::attend_pages, 30), op(OpKind::select_pages, 4)};
    step.channel_bytes.resize(2);
    step.channel_bytes[memory.index()] = 1034;
    step.channel_bytes[link.index()] = position;
    timeline.steps.push_back(step);
  }
  QualityRow row{"quest", 1024, {}, 0, 0};
  add_bytes(machine, timeline, row);
  EXPECT_DOUBLE_EQ(row.attention_bytes, 34);
  EXPECT_DOUBLE_EQ(row.link_bytes, 10.5);
}

TEST(QualityTable, Rows_oneLineEachWithErrors) {
  QualitySummary quality;
  quality.perplexity = 14;
  quality.reference_perplexity = 10;
  quality.log_likelihood_difference_error = 0.01;
  const std::string table = quality_table({{"quest", 1024, quality, 2e6, 0}, {"full-gpu", 0, quality, 0, 0}});
  EXPECT_NE(table.find("quest       1024      14.000  1.4000 (0.0140)"), std::string::npos) << table;
  EXPECT_NE(table.find("full-gpu     own"), std::string::npos) << table;
}

}  // namespace
}  // namespace hybridgen
