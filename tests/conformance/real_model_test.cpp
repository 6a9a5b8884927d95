// SmolLM2 on the host executor: the tokens of an independent implementation, and the hybrid path with every
// row selected against full attention.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "cli/tokenizer.hpp"
#include "core/base/error.hpp"
#include "formats/sha256.hpp"
#include "study/accuracy.hpp"
#include "tests/conformance/real_model.hpp"
#include "tests/support/source_path.hpp"

namespace hybridgen::testing {
namespace {

std::ifstream golden(const std::string& name) {
  return std::ifstream(source_path("tests/golden/" + name));
}

// ---- greedy tokens ----

class GreedyTokens : public ::testing::TestWithParam<KvDtype> {
 protected:
  void SetUp() override {
    if (const std::string why = missing_model(); !why.empty()) GTEST_SKIP() << why;
    std::ifstream prompt = golden("gpl3_first_512_ids.txt");
    for (std::int32_t id = 0; prompt >> id;) prompt_.push_back(id);
    golden("smollm2_gpl3_greedy.json") >> golden_;
    ASSERT_EQ(prompt_.size(), 512u);
    ASSERT_EQ(sha256_of_ids(prompt_), golden_.at("prompt_sha256"));
  }

  std::vector<std::int32_t> prompt_;
  nlohmann::json golden_;
};

// Two implementations sum in different orders; where two logits are nearly equal they may choose differently,
// and then go on with different texts.
TEST_P(GreedyTokens, FullGpuAfter512Tokens_equalTransformers) {
  constexpr float kTie = 0.1F;
  const std::vector<std::int32_t> expected = golden_.at("ids");
  ASSERT_EQ(expected.size(), 64u);
  TokenFeed feed;
  feed.prompts = {prompt_};
  const HostRun run = run_on_host(host_machine(), cli::load_host_model(find_model(model_folder())),
                                  {"full-gpu", {}, {}, GetParam()}, {1, 512, 64, false}, std::move(feed));
  const std::vector<std::int32_t> ids(run.tokens[0].begin() + 512, run.tokens[0].end());
  ASSERT_EQ(ids.size(), 64u);
  const auto [ours, theirs] = std::mismatch(ids.begin(), ids.end(), expected.begin());
  const auto equal = ours - ids.begin();
  std::printf("%td of 64 ids equal\n", equal);
  if (ours == ids.end()) return;
  const std::vector<float>& logits = run.logits[0].at(511 + equal);
  EXPECT_NEAR(logits[static_cast<std::size_t>(*ours)], logits[static_cast<std::size_t>(*theirs)], kTie)
      << "token " << equal << ": " << *ours << ", expected " << *theirs;
}

INSTANTIATE_TEST_SUITE_P(Kv, GreedyTokens, ::testing::Values(KvDtype::f16, KvDtype::f32),
                         [](const auto& each) { return each.param == KvDtype::f16 ? "fp16" : "fp32"; });

// ---- every row selected ----

constexpr Tokens kPrompt = 600;
constexpr Tokens kSteps = 64;
constexpr Tokens kDevice = 300;  // at most half of the tokens at every step

class AllRows : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const std::string why = missing_model(); !why.empty()) GTEST_SKIP() << why;
    try {
      ids_ = cli::read_prompt(kText, find_model(model_folder()), kPrompt + kSteps);
    } catch (const NotAvailable& why) {
      GTEST_SKIP() << why.what();
    }
    model_ = cli::load_host_model(loaded_.model);
  }

  struct Run {
    std::vector<std::vector<float>> logits;  // by decode step
    Timeline timeline;
  };

  Run run(const PolicyChoice& choice) {
    loaded_.experiment.kv_dtype = choice.kv_dtype;
    cli::ForcedRun forced(loaded_, composition_of(choice), params_for(choice), model_, ids_, kPrompt);
    Run run;
    forced.advance();  // the prompt, attended in full by every policy
    while (forced.advance()) run.logits.emplace_back(forced.logits().begin(), forced.logits().end());
    run.timeline = forced.timeline();
    EXPECT_EQ(run.logits.size(), static_cast<std::size_t>(kSteps - 1));
    return run;
  }

  static PolicyChoice hybridgen(Ppm ratio, KvDtype dtype) {
    return {"hybridgen", {{"device_kv_tokens", kDevice}, {"topk_ratio", ratio}}, {}, dtype};
  }

  static float largest_difference(const Run& a, const Run& b) {
    float largest = 0;
    for (std::size_t step = 0; step < a.logits.size(); ++step) {
      for (std::size_t i = 0; i < a.logits[step].size(); ++i)
        largest = std::max(largest, std::abs(a.logits[step][i] - b.logits[step][i]));
    }
    return largest;
  }

  double mean_kl(const Run& reference, const Run& other) const {
    QualityMeter meter;
    for (std::size_t step = 0; step < reference.logits.size(); ++step)
      meter.add(reference.logits[step], other.logits[step],
                ids_[static_cast<std::size_t>(kPrompt) + 1 + step]);
    return meter.summary().mean_kl;
  }

  cli::LoadedExperiment loaded_ =
      missing_model().empty() ? real_experiment() : cli::LoadedExperiment{{}, {host_machine(), "", ""}, {}};
  std::shared_ptr<const HostModel> model_;
  std::vector<std::int32_t> ids_;
};

constexpr Ppm kAllButOne = 999'000;  // floor(.999 x 301..363) is one less

TEST_F(AllRows, Fp32Kv_logitsWithinOneThousandthAtEveryStep) {
  const Run full = run({"full-gpu", {}, {}, KvDtype::f32});
  const Run all = run(hybridgen(kPpmOne, KvDtype::f32));
  for (const StepEvent& step : all.timeline.steps) {
    const RequestDecision& row = step.decision.rows[0];
    EXPECT_LE(2 * row.device_tokens, row.device_tokens + row.host_tokens);
    if (!row.prefill()) {
      EXPECT_EQ(row.rows_per_head, row.host_tokens);
    }
  }
  const float difference = largest_difference(full, all);
  std::printf("largest logit difference, k = all, fp32 KV: %.3g\n", static_cast<double>(difference));
  EXPECT_LE(difference, 1e-3F);
}

TEST_F(AllRows, Fp16Kv_meanKlAtMostOneHundredThousandth) {
  const double kl = mean_kl(run({"full-gpu", {}, {}, KvDtype::f16}), run(hybridgen(kPpmOne, KvDtype::f16)));
  std::printf("mean KL, k = all, fp16 KV: %.3g\n", kl);
  EXPECT_LE(kl, 1e-5);
}

// Predicted queries choose every row, so that nothing of the prediction is left: the true query's logits
// enter.
TEST_F(AllRows, ChosenOneLayerAheadAndByKvGroup_equalFullAttentionToo) {
  for (const KvDtype dtype : {KvDtype::f32, KvDtype::f16}) {
    const Run full = run({"full-gpu", {}, {}, dtype});
    for (const auto& [by, value] : {std::pair{"query head", 0}, {"KV group", 1}, {"best of KV group", 2}}) {
      PolicyChoice ahead = hybridgen(kPpmOne, dtype);
      ahead.parts["lookahead"] = "choose";
      ahead.params["select_by"] = value;
      const Run chosen = run(ahead);
      const auto count = [&](OpKind kind) {
        const auto& ops = chosen.timeline.steps.back().ops;
        return std::count_if(ops.begin(), ops.end(), [&](const OpEvent& op) { return op.kind == kind; });
      };
      EXPECT_GE(count(OpKind::predict_query), 29);  // every layer but the first
      const float difference = largest_difference(full, chosen);
      const double kl = mean_kl(full, chosen);
      std::printf("choose, k = all, %s KV, by %s: largest logit difference %.3g, mean KL %.3g\n",
                  name_of(dtype), by, static_cast<double>(difference), kl);
      if (dtype == KvDtype::f32) {
        EXPECT_LE(difference, 1e-3F);
      }
      EXPECT_LE(kl, 1e-5);
    }
  }
}

// One row of three hundred is little, but far more than the order of a sum.
TEST_F(AllRows, AllButOne_differsMeasurably) {
  const Run full = run({"full-gpu", {}, {}, KvDtype::f32});
  const Run all = run(hybridgen(kPpmOne, KvDtype::f32));
  const Run fewer = run(hybridgen(kAllButOne, KvDtype::f32));
  for (const StepEvent& step : fewer.timeline.steps) {
    const RequestDecision& row = step.decision.rows[0];
    if (!row.prefill()) {
      EXPECT_EQ(row.rows_per_head, row.host_tokens - 1);
    }
  }
  const float difference = largest_difference(full, fewer);
  std::printf("largest logit difference, all but one: %.3g, mean KL %.3g (all: %.3g)\n",
              static_cast<double>(difference), mean_kl(full, fewer), mean_kl(full, all));
  EXPECT_GT(difference, 10 * largest_difference(full, all));
  EXPECT_GT(difference, 1e-3F);  // the bound that k = all keeps would notice it
}

TEST_F(AllRows, AnyK_sameOps) {
  const Run all = run(hybridgen(kPpmOne, KvDtype::f16));
  for (const Ppm ratio : {Ppm{50'000}, Ppm{500'000}, kAllButOne}) {
    const Run other = run(hybridgen(ratio, KvDtype::f16));
    ASSERT_EQ(other.timeline.steps.size(), all.timeline.steps.size());
    for (std::size_t s = 0; s < all.timeline.steps.size(); ++s) {
      const StepEvent& a = all.timeline.steps[s];
      const StepEvent& b = other.timeline.steps[s];
      EXPECT_EQ(a.structure, b.structure);
      ASSERT_EQ(a.ops.size(), b.ops.size());
      for (std::size_t i = 0; i < a.ops.size(); ++i) EXPECT_EQ(a.ops[i].kind, b.ops[i].kind);
    }
  }
  std::set<OpKind> kinds;
  for (const OpEvent& op : all.timeline.steps.back().ops) kinds.insert(op.kind);
  for (const OpKind kind : {OpKind::host_logits, OpKind::select, OpKind::pack_rows, OpKind::send_scores,
                            OpKind::send_rows, OpKind::device_logits, OpKind::joint_attend})
    EXPECT_TRUE(kinds.contains(kind)) << name_of(kind);
}

}  // namespace
}  // namespace hybridgen::testing
