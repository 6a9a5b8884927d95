// The host one layer ahead of the device, on the real executor: what must be exact is, the bytes are those of
// a closed form in both worlds, and the host's work really lies behind the device's.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/driver/overlap.hpp"
#include "sim/fluid/fluid_executor.hpp"
#include "sim/world/platform_durations.hpp"
#include "sim/world/seeded_outcomes.hpp"
#include "tests/support/host_world.hpp"

namespace hybridgen::testing {
namespace {

constexpr int kPrompt = 60;
constexpr int kNew = 16;

PolicyChoice hybridgen(const std::string& lookahead, int device_tokens, Ppm ratio, int sinks = 0,
                       KvDtype dtype = KvDtype::f32) {
  PolicyChoice choice{"hybridgen",
                      {{"device_kv_tokens", device_tokens}, {"topk_ratio", ratio}, {"sink_tokens", sinks}},
                      {{"lookahead", lookahead}},
                      dtype};
  if (lookahead == "use" || lookahead == "auto") {
    choice.params["lookahead_predictor"] = 0;
    choice.params["lookahead_correct"] = 0;
  }
  return choice;
}

HostRun run(const Machine& machine, const std::shared_ptr<const HostModel>& model, const PolicyChoice& choice,
            int prompt = kPrompt, int new_tokens = kNew, int batch = 1) {
  TokenFeed feed;
  for (int i = 0; i < batch; ++i) {
    const auto seed = static_cast<std::uint32_t>(i);
    feed.prompts.push_back(prompt_of(prompt, model->shape.vocab, 11 + seed));
    feed.forced.push_back(prompt_of(new_tokens, model->shape.vocab, 99 + seed));
  }
  return run_on_host(machine, model, choice, {batch, prompt, new_tokens, false}, std::move(feed));
}

// KL divergence of the policy's next-token distribution from the reference's, in nats, over all positions.
double mean_kl(const HostRun& reference, const HostRun& policy) {
  const auto log_sum = [](const std::vector<float>& logits) {
    double sum = 0;
    for (const float logit : logits) sum += std::exp(double{logit});
    return std::log(sum);
  };
  double total = 0;
  for (const auto& [position, logits] : reference.logits[0]) {
    const std::vector<float>& other = policy.logits[0].at(position);
    const double norm = log_sum(logits), other_norm = log_sum(other);
    for (std::size_t i = 0; i < logits.size(); ++i) {
      const double log_p = logits[i] - norm;
      total += std::exp(log_p) * (log_p - (other[i] - other_norm));
    }
  }
  return total / static_cast<double>(reference.logits[0].size());
}

class EveryFamilyAhead : public ::testing::TestWithParam<ModelFamily> {};

TEST_P(EveryFamilyAhead, Choose_allRowsFp32_logitsEqualFullGpuAtEveryStep) {
  const Machine machine = host_machine();
  const auto model = tiny_model(7, GetParam());
  const HostRun full = run(machine, model, {"full-gpu", {}, {}, KvDtype::f32});
  for (const char* mode : {"off", "choose"}) {
    for (const int sinks : {0, 4}) {
      for (const int device_tokens : {1, 7, 30, 61, 500}) {
        const HostRun split = run(machine, model, hybridgen(mode, device_tokens, kPpmOne, sinks));
        EXPECT_LT(largest_difference(full, split), 1e-3F)
            << mode << ", " << device_tokens << " device tokens, " << sinks << " sinks";
      }
    }
  }
}

TEST_P(EveryFamilyAhead, Choose_allRowsFp16_klBelowRounding) {
  const Machine machine = host_machine();
  const auto model = tiny_model(7, GetParam());
  const HostRun full = run(machine, model, {"full-gpu", {}, {}, KvDtype::f16});
  for (const char* mode : {"off", "choose"}) {
    EXPECT_LE(mean_kl(full, run(machine, model, hybridgen(mode, 20, kPpmOne, 4, KvDtype::f16))), 1e-5);
  }
}

// All rows enter, with the logits of a query that is not theirs: were they exact, nothing was predicted.
TEST_P(EveryFamilyAhead, Use_allRows_differsFromFullGpu) {
  const Machine machine = host_machine();
  const auto model = tiny_model(7, GetParam());
  const HostRun full = run(machine, model, {"full-gpu", {}, {}, KvDtype::f32});
  EXPECT_GT(largest_difference(full, run(machine, model, hybridgen("use", 20, kPpmOne))), 1e-3F);
}

INSTANTIATE_TEST_SUITE_P(Families, EveryFamilyAhead, ::testing::ValuesIn(all_families()),
                         [](const auto& each) { return std::string(name_of(each.param)); });

class Ahead : public ::testing::Test {
 protected:
  Machine machine_ = host_machine();
  std::shared_ptr<const HostModel> model_ = tiny_model();
};

TEST_F(Ahead, Choose_fewRows_predictionChoosesOthersThanTheTrueQuery) {
  const HostRun off = run(machine_, model_, hybridgen("off", 20, 100'000));
  const HostRun choose = run(machine_, model_, hybridgen("choose", 20, 100'000));
  EXPECT_GT(largest_difference(off, choose), 1e-4F);
}

// A model whose layers add nothing to the residual stream: every layer has the same input, so a prediction is
// the query itself, and all modes must give what `off` gives.
TEST_F(Ahead, AnyMode_layersWithEqualInputs_equalsOff) {
  auto silent = std::make_shared<HostModel>(*model_);
  std::vector<kernels::Half> nothing(static_cast<std::size_t>(silent->shape.hidden * silent->shape.ffn));
  for (LayerWeights& layer : silent->weights.layers) {
    layer.attention_out.matrix = nothing.data();
    layer.down.matrix = nothing.data();
  }
  const HostRun off = run(machine_, silent, hybridgen("off", 20, 100'000));
  EXPECT_LT(largest_difference(off, run(machine_, silent, hybridgen("choose", 20, 100'000))), 1e-4F);
  PolicyChoice use = hybridgen("use", 20, 100'000);
  EXPECT_LT(largest_difference(off, run(machine_, silent, use)), 1e-4F);
  use.params["lookahead_correct"] = 1;
  EXPECT_LT(largest_difference(off, run(machine_, silent, use)), 1e-3F);
}

TEST_F(Ahead, Correction_brings_usedLogitsNearer) {
  PolicyChoice use = hybridgen("use", 40, kPpmOne, 4);
  const HostRun full = run(machine_, model_, {"full-gpu", {}, {}, KvDtype::f32});
  const double plain = mean_kl(full, run(machine_, model_, use));
  use.params["lookahead_correct"] = 1;
  const double corrected = mean_kl(full, run(machine_, model_, use));
  EXPECT_LT(corrected, plain);
}

TEST_F(Ahead, Batch_twoRequests_eachEqualsItsOwnSingleRun) {
  for (const char* mode : {"choose", "use"}) {
    PolicyChoice choice = hybridgen(mode, 20, 100'000, 3);
    const HostRun both = run(machine_, model_, choice, kPrompt, kNew, 2);
    for (std::uint32_t i = 0; i < 2; ++i) {
      TokenFeed feed;
      feed.prompts.push_back(prompt_of(kPrompt, 200, 11 + i));
      feed.forced.push_back(prompt_of(kNew, 200, 99 + i));
      HostRun alone = run_on_host(machine_, model_, choice, {1, kPrompt, kNew, false}, std::move(feed));
      HostRun one = both;
      one.logits = {both.logits[i]};
      EXPECT_LT(largest_difference(alone, one), 1e-3F) << mode;
    }
  }
}

// Layer i+1's scan does not wait for layer i's attention. A long context, so that ops last longer than a
// lane's wake-up.
TEST_F(Ahead, RealRun_hostOpsOfTheNextLayerOverlapDeviceOpsOfThisOne) {
  ModelShape shape = tiny_shape();
  shape.max_context = 4096;
  const auto model = model_of(shape);
  const HostRun ahead = run(machine_, model, hybridgen("choose", 1500, 50'000), 3000, 12);
  int overlaps = 0;
  for (const StepEvent& step : ahead.timeline.steps) {
    if (step.decision.rows[0].prefill()) continue;
    for (const OpEvent& host : step.ops) {
      if (host.kind != OpKind::host_logits || host.layer == 0) continue;
      overlaps += std::any_of(step.ops.begin(), step.ops.end(), [&](const OpEvent& device) {
        const bool attends = device.kind == OpKind::device_logits || device.kind == OpKind::joint_attend;
        return attends && device.layer == host.layer - 1 && device.start < host.end &&
               host.start < device.end;
      });
    }
  }
  EXPECT_GT(overlaps, 0);
  EXPECT_GT(host_overlap(ahead.timeline).hidden_share(), 0);
}

// One decode step in closed form. L layers, H hidden, Q and G the widths of q and of k or v, F ffn, V vocab,
// r K (or V) of one token in a layer, h of one head; n host tokens, d device tokens, k rows per query head;
// of the layers, so many are predicted and use or choose.
struct ClosedForm {
  const ModelShape& shape;
  Bytes e;
  Tokens host, device;
  std::int64_t k;
  Bytes choosing, using_;
  bool fitted, corrects;

  Bytes layers() const { return shape.layers; }
  Bytes ahead() const { return choosing + using_; }
  Bytes r() const { return shape.kv_width() * e; }
  Bytes rows() const { return shape.query_heads * k * shape.head_dim * e; }  // of a layer, K or V
  Bytes scores() const { return shape.query_heads * k * 4; }

  Bytes d2h() const { return layers() * (4 * shape.q_width() + 2 * r()); }
  Bytes h2d() const { return layers() * rows() + choosing * rows() + (layers() - choosing) * scores(); }
  Bytes dram() const {
    const Bytes H = shape.hidden, Q = shape.q_width(), G = shape.kv_width(), F = shape.ffn;
    const Bytes weights = 2 * H + layers() * 2 * (H * (Q + 2 * G) + Q * H + 3 * H * F) +
                          2 * static_cast<Bytes>(shape.vocab) * H +
                          ahead() * 2 * (H * Q + (fitted ? shape.predictor.rank * (H + Q) : 0));
    const Bytes device_side = layers() * (2 * r() + 2 * device * r() + rows() + scores()) + choosing * rows();
    const Bytes host_side = layers() * (host * r() + 2 * rows()) + choosing * 2 * rows();
    const Bytes correction = corrects ? using_ * 2 * scores() : 0;
    return weights + device_side + host_side + correction + d2h() + h2d();
  }
};

struct BytesCase {
  int query_heads, kv_heads;
  const char* mode;
  bool fitted, corrects;
};

void PrintTo(const BytesCase& each, std::ostream* out) {
  *out << each.query_heads << " heads on " << each.kv_heads << ", " << each.mode;
}

class BytesAhead : public ::testing::TestWithParam<BytesCase> {};

TEST_P(BytesAhead, RealAndSimulated_everyStepIsTheClosedForm) {
  const Machine machine = host_machine();
  ModelShape shape = tiny_shape();
  shape.query_heads = GetParam().query_heads;
  shape.kv_heads = GetParam().kv_heads;
  shape.layers = 4;
  constexpr int kDevice = 20, kSinks = 3, kLayersAhead = 3;
  const std::string mode = GetParam().mode;
  PolicyChoice choice = hybridgen(mode, kDevice, 200'000, kSinks, KvDtype::f16);
  if (mode != "off") choice.params["lookahead_predictor"] = GetParam().fitted ? 1 : 0;
  if (GetParam().corrects) choice.params["lookahead_correct"] = 1;
  if (GetParam().fitted) {
    shape.predictor.rank = 8;
    shape.predictor.error_permille[1][GetParam().corrects] = {0, 900, 100, 800};  // auto: layer 2 alone uses
  }
  const Bytes using_ = mode == "use" ? kLayersAhead : mode == "auto" ? 1 : 0;
  const Bytes choosing = mode == "off" ? 0 : kLayersAhead - using_;
  const WorkloadShape workload{1, kPrompt, kNew, false};
  const Timeline real = run(machine, model_of(shape), choice).timeline;
  Policy policy(composition_of(choice), {machine, shape, choice.kv_dtype, params_for(choice)}, workload);
  FluidExecutor executor(machine, std::make_unique<PlatformDurations>(machine),
                         std::make_unique<SeededOutcomes>(1));
  Driver driver(machine, shape, workload, policy, executor);
  const Timeline simulated = driver.run();
  ASSERT_EQ(real.steps.size(), static_cast<std::size_t>(kNew));
  EXPECT_EQ(real.decision_hash, simulated.decision_hash);
  for (std::size_t i = 1; i < real.steps.size(); ++i) {
    SCOPED_TRACE("step " + std::to_string(i));
    const Tokens host = kPrompt + static_cast<Tokens>(i) - kDevice - kSinks;
    const ClosedForm form{
        shape, 2, host, kDevice + kSinks, host / 5, choosing, using_, GetParam().fitted, GetParam().corrects};
    const std::vector<Bytes> expected = {form.dram(), form.h2d(), form.d2h(), 0};
    EXPECT_EQ(real.steps[i].channel_bytes, expected);
    EXPECT_EQ(simulated.steps[i].channel_bytes, expected);
  }
}

std::vector<BytesCase> bytes_cases() {
  std::vector<BytesCase> cases;
  for (const auto& [query_heads, kv_heads] : {std::pair{2, 2}, {6, 2}, {8, 2}, {8, 1}}) {
    cases.push_back({query_heads, kv_heads, "off", false, false});
    for (const bool fitted : {false, true}) {
      cases.push_back({query_heads, kv_heads, "choose", fitted, false});
      for (const bool corrects : {false, true})
        cases.push_back({query_heads, kv_heads, "use", fitted, corrects});
    }
    cases.push_back({query_heads, kv_heads, "auto", true, true});
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Groups, BytesAhead, ::testing::ValuesIn(bytes_cases()), [](const auto& each) {
  return std::string(each.param.mode) + (each.param.fitted ? "_fitted" : "") +
         (each.param.corrects ? "_corrected" : "") + "_group" +
         std::to_string(each.param.query_heads / each.param.kv_heads);
});

}  // namespace
}  // namespace hybridgen::testing
