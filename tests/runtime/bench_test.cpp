// What bench-machine does on a machine besides launching kernels: pairing, decode without a prefill, greedy
// runs held together, a driver library that is not there.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/base/error.hpp"
#include "runtime/calibrate/decode_bench.hpp"
#include "runtime/calibrate/token_agreement.hpp"
#include "runtime/cuda/bench/nvml.hpp"
#include "runtime/cuda/bench/paired.hpp"
#include "tests/support/host_world.hpp"
#include "tests/support/tiny_policy.hpp"

namespace hybridgen {
namespace {

using cuda::time_in_turn;
using cuda::TimedCase;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

const Measurement& figure(const std::vector<Measurement>& figures, const std::string& subject,
                          const std::string& quantity) {
  for (const Measurement& each : figures) {
    if (each.subject == subject && each.quantity == quantity) return each;
  }
  throw std::out_of_range(subject + " " + quantity);
}

TEST(TimeInTurn, CardThatSlowsDown_sharesStayWhatTheyAre) {
  double slowness = 1;  // grows with every round: rates fall, shares must not
  std::string order;
  const TimedCase yardstick{"stream_read", "", 100e9, false, [&] {
                              slowness *= 2;
                              order += 'y';
                              return slowness;
                            }};
  const TimedCase half{"attend", "8k", 10e9, false, [&] {
                         order += 'a';
                         return slowness / 5;
                       }};
  const TimedCase product{"gemm", "", 3e12, true, [&] { return 1.0; }};
  const std::vector<Measurement> figures = time_in_turn(yardstick, {half, product}, 3);
  EXPECT_EQ(order, "yayaya");
  const Measurement& share = figure(figures, "attend", "share of streaming read");
  EXPECT_DOUBLE_EQ(share.value, 0.5);
  EXPECT_DOUBLE_EQ(share.spread, 0);
  EXPECT_EQ(share.condition, "8k");
  EXPECT_GT(figure(figures, "attend", "rate").spread, 0.5);
  EXPECT_DOUBLE_EQ(figure(figures, "gemm", "arithmetic rate").value, 3);
  EXPECT_EQ(figures.size(), 4U);  // the yardstick's rate, attend's two, gemm's one
}

TEST(Nvml, LibraryThatIsNotThere_isNotAvailable) {
  EXPECT_THAT([] { cuda::Nvml("libhybridgen-has-no-such.so.1"); },
              ThrowsMessage<NotAvailable>(HasSubstr("libhybridgen-has-no-such.so.1")));
  EXPECT_THAT([] { cuda::Nvml("libm.so.6"); }, ThrowsMessage<NotAvailable>(HasSubstr("nvmlInit_v2")));
}

TEST(TokenAgreement, FirstDifference_tellsHowCloseTheCallWas) {
  const GreedyRun host{{1, 2, 0}, {{0, 9, 1}, {0, 1, 5}, {7, 6.5F, 1}}};
  GreedyRun card = host;
  EXPECT_EQ(token_agreement("p", "", host, card, 0.02)[0].value, 3);
  EXPECT_TRUE(within_bound(token_agreement("p", "", host, card, 0.02)[1]));
  card.tokens = {1, 2, 1};
  const auto close = token_agreement("p", "", host, card, 0.6);
  EXPECT_EQ(close[0].value, 2);
  EXPECT_EQ(close[1].value, 0.5);
  EXPECT_TRUE(within_bound(close[1]));
  card.tokens = {1, 0, 0};
  EXPECT_FALSE(within_bound(token_agreement("p", "", host, card, 0.6)[1]));
  card.tokens = {1, 2};
  EXPECT_FALSE(within_bound(token_agreement("p", "", host, card, 0.6)[1]));
}

class Decode : public ::testing::TestWithParam<std::string> {};

TEST_P(Decode, OfAContextThatNobodyPrefilled_stepsFindAllOfIt) {
  const Machine machine = hybridgen::testing::host_machine();
  const ModelShape shape = hybridgen::testing::tiny_shape();
  auto model = std::make_shared<HostModel>();
  model->shape = shape;
  auto memory = std::make_shared<TierMemory>("weights");
  model->weights = dummy_weights(shape, 1, [&](Bytes bytes) { return memory->allocate(bytes); });
  model->memory = memory;
  DecodeBench bench;
  bench.name = GetParam();
  bench.composition = test::preset_composition(GetParam());
  bench.params = test::params_for(bench.composition, {{"device_kv_tokens", 16}, {"topk_ratio", 100'000}});
  bench.context = 200;
  bench.warm_up_steps = 2;
  bench.steps = 3;
  const auto figures =
      measure_decode(machine, shape, bench, [&](const MemoryPlan& plan, TokenFeed feed, Tokens n) {
        return std::make_unique<HostExecutor>(machine, model, plan, std::move(feed), n);
      });
  const double step = figure(figures, GetParam(), "step time").value;
  EXPECT_GT(step, 0);
  EXPECT_LE(figure(figures, GetParam(), "busiest lane").value, step * 1.001);
  EXPECT_LE(figure(figures, GetParam(), "busy time of lane device").value, step * 1.001);
  EXPECT_EQ(figures[0].condition, "200 tokens, tiny");
  // K of 200 tokens and more in every layer: whichever policy, one side has to read it.
  const double k_mb = 200.0 * static_cast<double>(shape.layers * shape.kv_width() * 2) / 1e6;
  EXPECT_GT(figure(figures, GetParam(), "bytes over dram").value, k_mb);
}

TEST_P(Decode, ThatDoesNotFit_saysSoBeforeAnythingIsTaken) {
  Machine machine("small");
  const ChannelId dram = machine.add_channel("dram", ChannelKind::memory, 1e9);
  const TierId device = machine.add_tier("device", TierKind::hbm, 1000, dram);
  const TierId host = machine.add_tier("dram", TierKind::dram, 1000, dram);
  const ProcessorId cpu = machine.add_processor("host", ProcessorKind::cpu, {});
  machine.set_access_links(cpu, device, {});
  machine.set_access_links(cpu, host, {});
  machine.set_copy_links(host, device, {});
  machine.set_copy_links(device, host, {});
  const LaneId lane = machine.add_lane("host", cpu, 1);
  for (const Role role : {Role::host, Role::h2d, Role::d2h, Role::device}) machine.set_role(role, lane);
  DecodeBench bench;
  bench.name = GetParam();
  bench.composition = test::preset_composition(GetParam());
  bench.params = test::params_for(bench.composition, {});
  bench.context = 100;
  EXPECT_THROW(measure_decode(machine, hybridgen::testing::tiny_shape(), bench,
                              [](const MemoryPlan&, TokenFeed, Tokens) -> std::unique_ptr<RealExecutor> {
                                throw std::logic_error("an executor was asked for");
                              }),
               DoesNotFit);
}

std::vector<std::string> presets() {
  std::vector<std::string> names;
  for (const PresetEntry& preset : preset_registry()) names.push_back(preset.name);
  return names;
}
INSTANTIATE_TEST_SUITE_P(presets, Decode, ::testing::ValuesIn(presets()), [](const auto& test_info) {
  std::string name = test_info.param;
  for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  return name;
});

}  // namespace
}  // namespace hybridgen
