// Every family of models on the host executor and in simulation: the same plan and, op by op, the same bytes.
// The real run counts where it reads, so a bias or a table that the shape forgot to count would show.
#include <gtest/gtest.h>

#include "sim/fluid/fluid_executor.hpp"
#include "sim/world/platform_durations.hpp"
#include "sim/world/seeded_outcomes.hpp"
#include "tests/support/host_world.hpp"

namespace hybridgen {

// Names a test's parameter in ctest's list.
inline void PrintTo(const ModelShape& shape, std::ostream* out) {
  *out << shape.name;
}

}  // namespace hybridgen

namespace hybridgen::testing {
namespace {

// The families, and Llama with every bias that a configuration can ask for.
std::vector<ModelShape> shapes() {
  std::vector<ModelShape> list;
  for (const ModelFamily family : all_families()) {
    list.push_back(tiny_shape(family));
    list.back().name = name_of(family);
  }
  list.push_back(tiny_shape());
  list.back().name = "llama_biases";
  ModelBlocks& blocks = list.back().blocks;
  blocks.qkv_bias = blocks.out_bias = blocks.ffn_bias = true;
  return list;
}

class EveryFamily : public ::testing::TestWithParam<ModelShape> {
 protected:
  Timeline real(const PolicyChoice& choice, const WorkloadShape& workload) const {
    TokenFeed feed;
    for (const RequestShape& request : workload.requests) {
      feed.prompts.push_back(dummy_tokens(request.prompt_tokens, GetParam().vocab, 3));
    }
    return run_on_host(machine_, model_of(GetParam()), choice, workload, std::move(feed)).timeline;
  }

  Timeline simulated(const PolicyChoice& choice, const WorkloadShape& workload) const {
    Policy policy(composition_of(choice), {machine_, GetParam(), choice.kv_dtype, params_for(choice)},
                  workload);
    FluidExecutor executor(machine_, std::make_unique<PlatformDurations>(machine_),
                           std::make_unique<SeededOutcomes>(1));
    Driver driver(machine_, GetParam(), workload, policy, executor);
    return driver.run();
  }

  const Machine machine_ = host_machine();
};

TEST_P(EveryFamily, RealAndSimulated_sameDecisionsAndBytesOpByOp) {
  const WorkloadShape workload{2, 40, 6, false};
  const PolicyChoice hybrid{
      "hybridgen", {{"device_kv_tokens", 16}, {"topk_ratio", 200'000}}, {}, KvDtype::f16};
  for (const PolicyChoice& choice : {PolicyChoice{"full-gpu", {}, {}, KvDtype::f16}, hybrid}) {
    const Timeline a = real(choice, workload);
    const Timeline b = simulated(choice, workload);
    EXPECT_EQ(a.decision_hash, b.decision_hash);
    EXPECT_EQ(a.tier_peak_bytes, b.tier_peak_bytes);
    ASSERT_EQ(a.steps.size(), b.steps.size());
    for (std::size_t s = 0; s < a.steps.size(); ++s) {
      ASSERT_EQ(a.steps[s].ops.size(), b.steps[s].ops.size());
      for (std::size_t i = 0; i < a.steps[s].ops.size(); ++i) {
        EXPECT_EQ(a.steps[s].ops[i].bytes, b.steps[s].ops[i].bytes)
            << "step " << s << ", op " << i << " " << name_of(a.steps[s].ops[i].kind);
      }
    }
  }
}

// The gaps of alignment are all that the allocation has beyond the shape's own count.
TEST_P(EveryFamily, Weights_takeTheBytesThatTheShapeCounts) {
  const Bytes tensors = 2 + GetParam().layers * 16;  // at most, all families
  const Bytes gaps = allocated_weight_bytes(GetParam()) - GetParam().weight_bytes();
  EXPECT_GE(gaps, 0);
  EXPECT_LE(gaps, tensors * kWeightAlignment);
}

INSTANTIATE_TEST_SUITE_P(Families, EveryFamily, ::testing::ValuesIn(shapes()),
                         [](const auto& each) { return each.param.name; });

// In closed form, with H hidden, Q and G the widths of q and of k or v, F ffn, T tokens of context.
TEST(FamilyShapes, BytesOfProducts_countBiasesAndPositionRows) {
  const Bytes H = 96, Q = 96, G = 32, F = 160;
  const ModelShape llama = tiny_shape(ModelFamily::llama);
  EXPECT_EQ(llama.qkv_bytes(), 2 * H * (Q + 2 * G));
  EXPECT_EQ(llama.ffn_bytes(), 2 * 3 * H * F);
  EXPECT_EQ(llama.embed_bytes(), 2 * H);
  const ModelShape qwen2 = tiny_shape(ModelFamily::qwen2);
  EXPECT_EQ(qwen2.qkv_bytes(), 2 * H * (Q + 2 * G) + 4 * (Q + 2 * G));
  EXPECT_EQ(qwen2.out_bytes(), 2 * Q * H);
  const ModelShape opt = tiny_shape(ModelFamily::opt);
  EXPECT_EQ(opt.out_bytes(), 2 * Q * H + 4 * H);
  EXPECT_EQ(opt.ffn_bytes(), 2 * 2 * H * F + 4 * (F + H));
  EXPECT_EQ(opt.embed_bytes(), 2 * 2 * H);
  EXPECT_EQ(opt.position_rows(), 512 + 2);
  EXPECT_EQ(opt.norm_weights(), (2 * 3 + 1) * 2 * H);
  EXPECT_EQ(tiny_shape(ModelFamily::qwen3).norm_weights(), (2 * 3 + 1) * H + 2 * 3 * 16);
}

}  // namespace
}  // namespace hybridgen::testing
