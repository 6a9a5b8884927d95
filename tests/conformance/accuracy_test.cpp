// The quality of every policy on the real model, by what `hybridgen accuracy` runs: the whole text once,
// three policies side by side, and the bytes that HybridGen moves for it.
#include <gtest/gtest.h>

#include <array>

#include "cli/tokenizer.hpp"
#include "core/base/error.hpp"
#include "study/accuracy.hpp"
#include "tests/conformance/real_model.hpp"

namespace hybridgen::testing {
namespace {

constexpr Tokens kFrom = 4096;
constexpr Tokens kStreamed = 400;  // predictions held against streaming: equal at every length or at none
constexpr Tokens kDevice = 1024;
constexpr Ppm kRatio = 50'000;

std::array<Bytes, kOpKinds> bytes_by_kind(const StepEvent& step) {
  std::array<Bytes, kOpKinds> bytes{};
  for (const OpEvent& op : step.ops) bytes[static_cast<std::size_t>(op.kind)] += op.bytes;
  return bytes;
}

Bytes channel_bytes(const Machine& machine, const StepEvent& step, const std::string& name) {
  for (const Channel& channel : machine.channels()) {
    if (channel.name == name) return step.channel_bytes[channel.id.index()];
  }
  ADD_FAILURE() << name;
  return -1;
}

// What one step must move, from the model's shape and the text's length alone. SmolLM2 has 30 layers, 9 query
// and 3 KV heads of width 64; KV is fp16, queries and scores are fp32.
struct ClosedForm {
  static constexpr Bytes kLayers = 30, kQueryHeads = 9, kKvHeads = 3, kWidth = 64, kKv = 2, kFloat = 4;
  static constexpr Bytes kHeadRow = kWidth * kKv;
  static constexpr Bytes kRow = kKvHeads * kHeadRow;

  explicit ClosedForm(Tokens context)
      : host(context - kDevice), chosen(kLayers * kQueryHeads * (host * 5 / 100)) {}

  Tokens host;
  std::int64_t chosen;  // rows over all layers and query heads
  Bytes query_down() const { return kLayers * kQueryHeads * kWidth * kFloat; }
  Bytes evicted_down() const { return kLayers * 2 * kRow; }  // one token's K and V
  Bytes scores_up() const { return chosen * kFloat; }
  Bytes rows_up() const { return chosen * kHeadRow; }
  Bytes k_scan() const { return kLayers * host * kRow; }
};

void expect_closed_form(const Machine& machine, const Timeline& timeline) {
  const auto of = [](const std::array<Bytes, kOpKinds>& bytes, OpKind kind) {
    return bytes[static_cast<std::size_t>(kind)];
  };
  const StepEvent& prompt = timeline.steps.front();
  EXPECT_EQ(channel_bytes(machine, prompt, "d2h"),
            ClosedForm::kLayers * 2 * ClosedForm::kRow * (kFrom - kDevice));
  EXPECT_EQ(channel_bytes(machine, prompt, "h2d"), 0);
  for (std::size_t step = 1; step < timeline.steps.size(); ++step) {
    SCOPED_TRACE("step " + std::to_string(step));
    const StepEvent& event = timeline.steps[step];
    const ClosedForm form(kFrom + static_cast<Tokens>(step));
    const std::array<Bytes, kOpKinds> bytes = bytes_by_kind(event);
    EXPECT_EQ(of(bytes, OpKind::send_query), form.query_down());
    EXPECT_EQ(of(bytes, OpKind::offload_kv), form.evicted_down());
    EXPECT_EQ(of(bytes, OpKind::send_scores), form.scores_up());
    EXPECT_EQ(of(bytes, OpKind::send_rows), form.rows_up());
    EXPECT_EQ(of(bytes, OpKind::host_logits), form.k_scan());
    EXPECT_EQ(of(bytes, OpKind::pack_rows), 2 * form.rows_up());  // read where they lie, written packed
    EXPECT_EQ(channel_bytes(machine, event, "d2h"), form.query_down() + form.evicted_down());
    EXPECT_EQ(channel_bytes(machine, event, "h2d"), form.scores_up() + form.rows_up());
    if (::testing::Test::HasFailure()) return;  // the first wrong step says it all
  }
}

void print(const char* policy, const QualitySummary& quality) {
  std::printf("%s: perplexity %.4f, mean KL %.6f (error %.6f), top-1 agreement %.4f\n", policy,
              quality.perplexity, quality.mean_kl, quality.mean_kl_error, quality.top1_agreement);
}

TEST(Accuracy, SmolLm2OnGpl3From4096_reachesTheMeasuredQuality) {
  if (const std::string why = missing_model(); !why.empty()) GTEST_SKIP() << why;
  std::vector<std::int32_t> ids;
  try {
    ids = cli::read_prompt(kText, find_model(model_folder()), 0);
  } catch (const NotAvailable& why) {
    GTEST_SKIP() << why.what();
  }
  ASSERT_EQ(ids.size(), 7639u);
  const cli::LoadedExperiment loaded = real_experiment();
  const auto model = cli::load_host_model(loaded.model);
  const auto open = [&](const PolicyChoice& choice) {
    return std::make_unique<cli::ForcedRun>(loaded, composition_of(choice), params_for(choice), model, ids,
                                            kFrom);
  };
  const auto full = open({"full-gpu", {}, {}, KvDtype::f16});
  const auto flexgen = open({"flexgen", {}, {}, KvDtype::f16});
  const auto hybridgen =
      open({"hybridgen", {{"device_kv_tokens", kDevice}, {"topk_ratio", kRatio}}, {}, KvDtype::f16});
  ASSERT_TRUE(full->advance() && flexgen->advance() && hybridgen->advance());  // the prompt
  QualityMeter streamed;
  QualityMeter selected;
  for (auto position = static_cast<std::size_t>(kFrom); full->advance() && hybridgen->advance(); ++position) {
    selected.add(full->logits(), hybridgen->logits(), ids[position + 1]);
    if (static_cast<Tokens>(position) < kFrom + kStreamed && flexgen->advance()) {
      streamed.add(full->logits(), flexgen->logits(), ids[position + 1]);
    }
  }
  print("flexgen", streamed.summary());
  print("hybridgen", selected.summary());
  std::printf("full-gpu: perplexity %.4f\n", selected.summary().reference_perplexity);
  EXPECT_EQ(selected.summary().predictions, 3542);
  EXPECT_NEAR(selected.summary().reference_perplexity, 13.339, 0.001 * 13.339);
  EXPECT_EQ(streamed.summary().predictions, kStreamed);
  EXPECT_LE(streamed.summary().mean_kl, 1e-5);
  EXPECT_NEAR(selected.summary().perplexity, 13.398, 0.003 * 13.398);
  EXPECT_GE(selected.summary().mean_kl, 0.004);
  EXPECT_LE(selected.summary().mean_kl, 0.008);
  expect_closed_form(loaded.platform.machine, hybridgen->timeline());
}

}  // namespace
}  // namespace hybridgen::testing
