// The policies that keep or choose a budget of tokens, on the real model: a budget of everything is full
// attention, and a budget of 1,024 has the perplexity that the independent reference has
// (tests/reference/expected.json).
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "cli/tokenizer.hpp"
#include "core/base/error.hpp"
#include "runtime/host/cores.hpp"
#include "runtime/lookahead/fit_predictor.hpp"
#include "runtime/lookahead/skew_fit.hpp"
#include "study/accuracy.hpp"
#include "tests/conformance/real_model.hpp"
#include "tests/support/source_path.hpp"

namespace hybridgen::testing {
namespace {

// What the reference fits its skew on.
constexpr const char* kFitText = "/usr/share/common-licenses/GFDL-1.3";
constexpr Tokens kFitTokens = 2048;

struct Kept {
  std::string name;
  std::string label;  // of the reference's result
  PolicyChoice choice;
};

void PrintTo(const Kept& each, std::ostream* out) {
  *out << each.name;
}

std::vector<Kept> every_rule() {
  return {{"streaming_llm", "streaming-llm", {"streaming-llm", {}, {}, KvDtype::f16}},
          {"streaming_llm_text_positions",
           "streaming-llm reindex=False",
           {"streaming-llm", {{"reindex", 1}}, {}, KvDtype::f16}},
          {"h2o", "h2o", {"h2o", {}, {}, KvDtype::f16}},
          {"snapkv_keep", "snapkv", {"snapkv", {}, {}, KvDtype::f16}},
          {"snapkv_bound", "snapkv generated=bound", {"snapkv", {{"generated", 1}}, {}, KvDtype::f16}},
          {"quest", "quest", {"quest", {}, {}, KvDtype::f16}},
          {"infinigen", "infinigen", {"infinigen", {}, {}, KvDtype::f16}}};
}

// The model with a skew of its own, in memory: nothing is written beside the weights.
struct SkewedModel {
  HostModel model;
  std::vector<std::vector<float>> skew;
};

std::shared_ptr<const HostModel> skewed(const std::shared_ptr<const HostModel>& model,
                                        const std::vector<std::int32_t>& ids) {
  const int threads = usable_cores();
  const auto made = std::make_shared<SkewedModel>(
      SkewedModel{*model, fit_skew(*model, layer_inputs(model, ids, threads), threads)});
  for (std::size_t i = 0; i < made->skew.size(); ++i)
    made->model.weights.layers[i].skew = made->skew[i].data();
  return {made, &made->model};
}

class KeptQuality : public ::testing::TestWithParam<Kept> {
 protected:
  void SetUp() override {
    if (const std::string why = missing_model(); !why.empty()) GTEST_SKIP() << why;
    try {
      ids_ = cli::read_prompt(kText, find_model(model_folder()), 0);
    } catch (const NotAvailable& why) {
      GTEST_SKIP() << why.what();
    }
    model_ = cli::load_host_model(loaded_.model);
    if (GetParam().choice.preset == "infinigen") {
      model_ = skewed(model_, cli::read_prompt(kFitText, loaded_.model, kFitTokens));
    }
  }
  std::unique_ptr<cli::ForcedRun> open(PolicyChoice choice, std::int64_t budget, Tokens from) const {
    if (budget > 0) choice.params["budget_tokens"] = budget;
    return std::make_unique<cli::ForcedRun>(loaded_, composition_of(choice), params_for(choice), model_, ids_,
                                            from);
  }

  cli::LoadedExperiment loaded_ =
      missing_model().empty() ? real_experiment() : cli::LoadedExperiment{{}, {host_machine(2), "", ""}, {}};
  std::shared_ptr<const HostModel> model_;
  std::vector<std::int32_t> ids_;
};

TEST_P(KeptQuality, BudgetOfEverything_meanKlAtMostOneHundredThousandth) {
  constexpr Tokens kFrom = 400;
  ids_.resize(464);
  PolicyChoice everything = GetParam().choice;
  if (everything.preset == "infinigen") everything.params["alpha"] = 1'000'000;
  const auto full = open({"full-gpu", {}, {}, KvDtype::f16}, 0, kFrom);
  const auto kept = open(everything, 464, kFrom);
  ASSERT_TRUE(full->advance() && kept->advance());  // the prompt
  QualityMeter meter;
  for (auto position = static_cast<std::size_t>(kFrom); full->advance() && kept->advance(); ++position) {
    meter.add(full->logits(), kept->logits(), ids_[position + 1]);
  }
  std::printf("%s: mean KL %.3g\n", GetParam().name.c_str(), meter.summary().mean_kl);
  EXPECT_EQ(meter.summary().predictions, 63);
  EXPECT_LE(meter.summary().mean_kl, 1e-5);
}

double expected_perplexity(const std::string& label) {
  std::ifstream file(source_path("tests/reference/expected.json"));
  const nlohmann::json document = nlohmann::json::parse(file);
  for (const auto& result : document.at("results")) {
    if (result.at("label") == label) return result.at("perplexity");
  }
  ADD_FAILURE() << "the reference has no " << label;
  return 0;
}

// Minutes each: those with most of their own arithmetic stand for the others, which docs/comparing.md has.
class KeptText : public KeptQuality {};

TEST_P(KeptText, Gpl3From4096WithABudgetOf1024_perplexityOfTheReference) {
  constexpr Tokens kFrom = 4096;
  const auto kept = open(GetParam().choice, 1024, kFrom);
  ASSERT_TRUE(kept->advance());
  QualityMeter meter;
  for (auto position = static_cast<std::size_t>(kFrom); kept->advance(); ++position) {
    meter.add(kept->logits(), kept->logits(), ids_[position + 1]);
  }
  const double expected = expected_perplexity(GetParam().label);
  std::printf("%s: perplexity %.4f, reference %.4f\n", GetParam().name.c_str(), meter.summary().perplexity,
              expected);
  EXPECT_EQ(meter.summary().predictions, 3542);
  EXPECT_NEAR(meter.summary().perplexity, expected, 0.003 * expected);
}

INSTANTIATE_TEST_SUITE_P(Rules, KeptQuality, ::testing::ValuesIn(every_rule()),
                         [](const auto& each) { return each.param.name; });
INSTANTIATE_TEST_SUITE_P(Rules, KeptText, ::testing::Values(every_rule()[2], every_rule().back()),
                         [](const auto& each) { return each.param.name; });

}  // namespace
}  // namespace hybridgen::testing
