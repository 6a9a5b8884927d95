// What a simulated executor does around its engine: outcomes, sizes, bytes, and steps one after the other.
#include <gtest/gtest.h>

#include <functional>

#include "core/base/error.hpp"
#include "core/step/step_builder.hpp"
#include "sim/world/fixed_outcomes.hpp"
#include "tests/sim/engine_under_test.hpp"
#include "tests/support/small_machine.hpp"

namespace hybridgen::testing {
namespace {

using Counts = std::span<const std::int64_t>;

// A world that a test writes down.
class WrittenDurations final : public DurationModel {
 public:
  using Plan = std::function<OpPlan(const Op&, Counts)>;
  explicit WrittenDurations(Plan plan, double gap_ns = 0) : plan_(std::move(plan)), gap_ns_(gap_ns) {}
  OpPlan plan(const Step&, const Op& op, Counts counts) override { return plan_(op, counts); }
  double step_gap_ns(const Step&) override { return gap_ns_; }

 private:
  Plan plan_;
  double gap_ns_;
};

// Whatever is asked, even outside the bounds.
class WrittenOutcomes final : public OutcomeSource {
 public:
  explicit WrittenOutcomes(std::int64_t count) : count_(count) {}
  std::string name() const override { return "written"; }
  std::int64_t count(const Step&, const Outcome&) override { return count_; }

 private:
  std::int64_t count_;
};

Op op_of(Role role, OpKind kind = OpKind::ffn) {
  Op op;
  op.role = role;
  op.kind = kind;
  return op;
}

class ExecutorTest : public ::testing::Test {
 protected:
  std::unique_ptr<SimulatedExecutor> executor(WrittenDurations::Plan plan, std::int64_t count = 0,
                                              double gap_ns = 0) {
    return make_executor(machine_, std::make_unique<WrittenDurations>(std::move(plan), gap_ns),
                         std::make_unique<WrittenOutcomes>(count));
  }
  std::shared_ptr<const Step> taken(StepBuilder& builder) {
    return std::make_shared<const Step>(builder.take());
  }
  std::shared_ptr<const Step> one_op_step(int id) {
    StepBuilder builder(machine_, StepId(id), {});
    builder.add(op_of(Role::device), {});
    return taken(builder);
  }

  const Machine machine_ = small_machine();
};

TEST_F(ExecutorTest, Names_itsEngineAndCarriesOutEveryKind) {
  const auto executor = this->executor([](const Op&, Counts) { return OpPlan{}; });
  EXPECT_EQ(executor->capabilities().executor, engine_under_test());
  for (const bool carried_out : executor->capabilities().kinds) EXPECT_TRUE(carried_out);
}

// Step 0 starts after its gap of 5, ops last 10.4: 5..15.4, 20.4..30.8; rounded only when reported.
TEST_F(ExecutorTest, TwoSteps_runOneAfterTheOtherWithTheirGap) {
  const auto executor = this->executor([](const Op&, Counts) { return OpPlan{0, 10.4, {}}; }, 0, 5);
  executor->submit(one_op_step(0));
  executor->submit(one_op_step(1));
  const Report first = executor->wait();
  const Report second = executor->wait();
  EXPECT_EQ(first.step, StepId(0));
  EXPECT_EQ(first.start, 5);
  EXPECT_EQ(first.end, 15);
  EXPECT_EQ(second.step, StepId(1));
  EXPECT_EQ(second.start, 20);
  EXPECT_EQ(second.end, 31);
  EXPECT_EQ(second.records[0].start, 20);
  EXPECT_EQ(second.records[0].end, 31);
}

// 3,000 steps of 10.4 ns end at 31,200: a rounding per step would have lost 1,200.
TEST_F(ExecutorTest, ManySteps_roundingDoesNotAddUp) {
  const auto executor = this->executor([](const Op&, Counts) { return OpPlan{0, 10.4, {}}; });
  Report report;
  for (int i = 0; i < 3000; ++i) {
    executor->submit(one_op_step(i));
    report = executor->wait();
  }
  EXPECT_EQ(report.end, 31'200);
}

TEST_F(ExecutorTest, WaitWithoutAStep_isOurBug) {
  const auto executor = this->executor([](const Op&, Counts) { return OpPlan{}; });
  EXPECT_THROW(executor->wait(), InternalError);
}

TEST_F(ExecutorTest, EmptyStep_endsWhenItStarts) {
  const auto executor = this->executor([](const Op&, Counts) { return OpPlan{}; }, 0, 8);
  StepBuilder builder(machine_, StepId(0), {});
  executor->submit(taken(builder));
  const Report report = executor->wait();
  EXPECT_EQ(report.start, 8);
  EXPECT_EQ(report.end, 8);
}

// The producer is sized by its own outcome, 7: it lasts 7; the op after it 70.
TEST_F(ExecutorTest, Outcome_isKnownWhenItsProducerIsReady) {
  StepBuilder builder(machine_, StepId(0), {});
  builder.add(op_of(Role::device), {});
  const OutcomeId outcome = builder.declare(OutcomeKind::selected_rows, RequestId(0), 0, 1, 9);
  Op producer = op_of(Role::host);
  producer.traffic.items = Amount::per(outcome, 1);
  const OpId produced = builder.add(producer, {OpId(0)});
  Op later = op_of(Role::h2d);
  later.traffic.items = Amount::per(outcome, 10);
  builder.add(later, {produced});

  std::vector<std::int64_t> seen;
  const auto executor = this->executor(
      [&](const Op& op, Counts counts) {
        seen.push_back(counts[0]);
        return OpPlan{0, static_cast<double>(op.traffic.items.resolve(counts)), {}};
      },
      7);
  executor->submit(taken(builder));
  const Report report = executor->wait();
  EXPECT_EQ(seen, (std::vector<std::int64_t>{-1, 7, 7}));
  EXPECT_EQ(report.outcomes, (std::vector<std::int64_t>{7}));
  EXPECT_EQ(report.records[1].end, 7);
  EXPECT_EQ(report.records[2].end, 77);
}

TEST_F(ExecutorTest, OutcomeOutsideItsBounds_isOurBug) {
  for (const std::int64_t count : {0, 10}) {
    StepBuilder builder(machine_, StepId(0), {});
    builder.declare(OutcomeKind::selected_rows, RequestId(0), 0, 1, 9);
    builder.add(op_of(Role::device), {});
    const auto executor = this->executor([](const Op&, Counts) { return OpPlan{}; }, count);
    executor->submit(taken(builder));
    EXPECT_THROW(executor->wait(), InternalError) << count;
  }
}

// Bytes are those of the resolved sizes; every channel of a path has them once.
TEST_F(ExecutorTest, Bytes_perOpAndChannelAreTheResolvedSizes) {
  StepBuilder builder(machine_, StepId(0), {});
  const TierId hbm = *machine_.tier_of(TierKind::hbm);
  const TierId dram = *machine_.tier_of(TierKind::dram);
  const TierId cxl = *machine_.tier_of(TierKind::cxl);
  const OutcomeId outcome = builder.declare(OutcomeKind::selected_rows, RequestId(0), 0, 1, 9);
  Op gather = op_of(Role::host, OpKind::pack_rows);
  gather.traffic.accesses.push_back({cxl, Direction::read, Amount::per(outcome, 100), 100});
  gather.traffic.accesses.push_back({dram, Direction::write, Amount::fixed(50)});
  const OpId gathered = builder.add(gather, {});
  Op copy = op_of(Role::h2d, OpKind::send_rows);
  copy.traffic.copies.push_back({cxl, hbm, Amount::fixed(1000)});
  copy.traffic.copies.push_back({dram, hbm, Amount::per(outcome, 1)});
  builder.add(copy, {gathered});

  const auto executor = this->executor([](const Op&, Counts) { return OpPlan{}; }, 4);
  executor->submit(taken(builder));
  const Report report = executor->wait();
  EXPECT_EQ(report.records[0].bytes, 400 + 50);
  EXPECT_EQ(report.records[1].bytes, 1000 + 4);
  std::vector<Bytes> expected(machine_.channels().size(), 0);
  expected[kCxl] = 400 + 1000;
  expected[kCxlPort] = 400 + 1000;
  expected[kDram] = 50 + 4;
  expected[kHbm] = expected[kPcieUp] = expected[kPcieDuplex] = 1000 + 4;
  EXPECT_EQ(report.channel_bytes, expected);
}

TEST_F(ExecutorTest, ModelThrows_comesOut) {
  const auto executor = this->executor([](const Op&, Counts) -> OpPlan { throw BadInput("no"); });
  executor->submit(one_op_step(0));
  EXPECT_THROW(executor->wait(), BadInput);
}

}  // namespace
}  // namespace hybridgen::testing
