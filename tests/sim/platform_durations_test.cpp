// Durations from the cost tables, by their equations.
#include "sim/world/platform_durations.hpp"

#include <gtest/gtest.h>

#include "tests/support/small_machine.hpp"

namespace hybridgen::testing {
namespace {

class PlatformDurationsTest : public ::testing::Test {
 protected:
  Op op_of(Role role, OpKind kind) const {
    Op op;
    op.role = role;
    op.kind = kind;
    op.lane = machine_.lane_of(role);
    return op;
  }
  OpPlan plan(const Op& op, std::vector<std::int64_t> counts = {}) {
    return PlatformDurations(machine_).plan(Step{}, op, counts);
  }

  const Machine machine_ = small_machine();
  const TierId hbm_ = *machine_.tier_of(TierKind::hbm);
  const TierId dram_ = *machine_.tier_of(TierKind::dram);
  const TierId cxl_ = *machine_.tier_of(TierKind::cxl);
  const ProcessorId cpu_ = machine_.lane(machine_.lane_of(Role::host)).processor;
};

TEST_F(PlatformDurationsTest, Kernel_fixedBytesFlopsAndItems) {
  Op op = op_of(Role::device, OpKind::ffn);
  op.traffic.flops = Amount::fixed(5000);
  op.traffic.items = Amount::fixed(70);
  op.traffic.accesses.push_back({hbm_, Direction::read, Amount::fixed(1000)});
  const OpPlan plan = this->plan(op);
  EXPECT_EQ(plan.delay_ns, 0);
  EXPECT_EQ(plan.fixed_ns, 2000);
  ASSERT_EQ(plan.flows.size(), 3u);
  EXPECT_EQ(plan.flows[0].amount, 1000);
  EXPECT_DOUBLE_EQ(plan.flows[0].cap_per_s, 800e9);
  EXPECT_EQ(plan.flows[0].channels, ChannelPath{ChannelId(kHbm)});
  EXPECT_EQ(plan.flows[1].amount, 5000);
  EXPECT_EQ(plan.flows[1].cap_per_s, 50e12);
  EXPECT_TRUE(plan.flows[1].channels.empty());
  EXPECT_EQ(plan.flows[2].amount, 70);
  EXPECT_EQ(plan.flows[2].cap_per_s, 100e9);
}

TEST_F(PlatformDurationsTest, AccessesOfOnePath_areOneFlow) {
  Op op = op_of(Role::device, OpKind::keep_kv);
  op.traffic.accesses.push_back({hbm_, Direction::read, Amount::fixed(300)});
  op.traffic.accesses.push_back({hbm_, Direction::write, Amount::fixed(200)});
  const OpPlan plan = this->plan(op);
  ASSERT_EQ(plan.flows.size(), 1u);
  EXPECT_EQ(plan.flows[0].amount, 500);
  EXPECT_DOUBLE_EQ(plan.flows[0].cap_per_s, 800e9);
}

// cap = 1 / (1 / bytes_per_s + row_ns / row_bytes) = 1 / (0.025 + 20 / 400) per ns = 1 / 0.075 per ns.
TEST_F(PlatformDurationsTest, Gather_capFallsWithSmallRows) {
  Op op = op_of(Role::host, OpKind::pack_rows);
  op.traffic.accesses.push_back({cxl_, Direction::read, Amount::fixed(4000), 400});
  const OpPlan plan = this->plan(op);
  ASSERT_EQ(plan.flows.size(), 1u);
  EXPECT_DOUBLE_EQ(plan.flows[0].cap_per_s, 1e9 / 0.075);
  EXPECT_EQ(plan.flows[0].channels, (ChannelPath{ChannelId(kCxl), ChannelId(kCxlPort)}));
}

// Read 4000 gathered bytes at 0.075 ns and write 4000 at 0.025 ns by the same cores: T = 300 + 100 = 400 ns.
// In one memory: one flow of 8000 with cap 8000 / T; in two: each 4000 / T, so that both end at T.
TEST_F(PlatformDurationsTest, OneKernelOverTwoMemories_isNoFasterThanOverOne) {
  for (const TierId from : {dram_, cxl_}) {
    Op op = op_of(Role::host, OpKind::pack_rows);
    op.traffic.accesses.push_back({from, Direction::read, Amount::fixed(4000), 400});
    op.traffic.accesses.push_back({dram_, Direction::write, Amount::fixed(4000)});
    const OpPlan plan = this->plan(op);
    ASSERT_EQ(plan.flows.size(), from == dram_ ? 1u : 2u);
    for (const Flow& flow : plan.flows) EXPECT_NEAR(flow.amount / flow.cap_per_s * 1e9, 400, 1e-9);
  }
}

// fixed and rate are the copy role's; K and V from one memory are one flow.
TEST_F(PlatformDurationsTest, Copies_haveTheRolesCost) {
  Op op = op_of(Role::h2d, OpKind::load_kv);
  op.traffic.copies.push_back({dram_, hbm_, Amount::fixed(1600)});
  op.traffic.copies.push_back({dram_, hbm_, Amount::fixed(1600)});
  const OpPlan plan = this->plan(op);
  EXPECT_EQ(plan.fixed_ns, 1000);
  ASSERT_EQ(plan.flows.size(), 1u);
  EXPECT_EQ(plan.flows[0].amount, 3200);
  EXPECT_DOUBLE_EQ(plan.flows[0].cap_per_s, 16e9);
  EXPECT_EQ(plan.flows[0].channels,
            (ChannelPath{ChannelId(kDram), ChannelId(kPcieUp), ChannelId(kPcieDuplex), ChannelId(kHbm)}));
}

// One copy engine: 1600 + 800 bytes at 16 per ns take 150 ns together, wherever they come from.
TEST_F(PlatformDurationsTest, CopiesFromTwoMemories_shareTheEngine) {
  Op op = op_of(Role::h2d, OpKind::load_kv);
  op.traffic.copies.push_back({dram_, hbm_, Amount::fixed(1600)});
  op.traffic.copies.push_back({cxl_, hbm_, Amount::fixed(800)});
  const OpPlan plan = this->plan(op);
  ASSERT_EQ(plan.flows.size(), 2u);
  for (const Flow& flow : plan.flows) EXPECT_NEAR(flow.amount / flow.cap_per_s * 1e9, 150, 1e-9);
}

TEST_F(PlatformDurationsTest, NothingMoved_onlyTheFixedTime) {
  Op op = op_of(Role::h2d, OpKind::send_rows);
  op.traffic.copies.push_back({dram_, hbm_, Amount::per(OutcomeId(0), 64)});
  op.traffic.accesses.push_back({hbm_, Direction::read, Amount::fixed(0)});
  const OpPlan plan = this->plan(op, {0});
  EXPECT_EQ(plan.fixed_ns, 1000);
  EXPECT_TRUE(plan.flows.empty());
}

TEST_F(PlatformDurationsTest, Outcome_sizesTheFlow) {
  Op op = op_of(Role::host, OpKind::pack_rows);
  op.traffic.accesses.push_back({dram_, Direction::read, Amount::per(OutcomeId(1), 32), 32});
  EXPECT_EQ(plan(op, {-1, 5}).flows.at(0).amount, 160);
}

// A figure of 0 is no limit: bytes are limited by their channels alone, flops and items not at all.
TEST_F(PlatformDurationsTest, FiguresOfZero_areNoLimit) {
  Machine machine("bare");
  const ChannelId channel = machine.add_channel("hbm", ChannelKind::memory, 1e12);
  const TierId tier = machine.add_tier("hbm", TierKind::hbm, 1 << 20, channel);
  const ProcessorId gpu = machine.add_processor("gpu", ProcessorKind::gpu, ProcessorCosts{});
  machine.set_role(Role::device, machine.add_lane("compute", gpu, 0));
  machine.set_access_links(gpu, tier, {});
  Op op;
  op.lane = machine.lane_of(Role::device);
  op.traffic.flops = Amount::fixed(10);
  op.traffic.items = Amount::fixed(10);
  op.traffic.accesses.push_back({tier, Direction::read, Amount::fixed(10)});
  const OpPlan plan = PlatformDurations(machine).plan(Step{}, op, {});
  ASSERT_EQ(plan.flows.size(), 1u);
  EXPECT_EQ(plan.flows[0].cap_per_s, 0);
  EXPECT_EQ(plan.fixed_ns, 0);
}

TEST_F(PlatformDurationsTest, Gap_isTheMachinesAfterTheFirstStep) {
  Step step;
  step.id = StepId(0);
  EXPECT_EQ(PlatformDurations(machine_).step_gap_ns(step), 0);
  step.id = StepId(1);
  EXPECT_EQ(PlatformDurations(machine_).step_gap_ns(step), 7000);
}

}  // namespace
}  // namespace hybridgen::testing
