// StepBuilder: dense ids, lane order, and what it refuses.
#include "core/step/step_builder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/check.hpp"
#include "tests/support/tiny_machine.hpp"

namespace hybridgen {
namespace {

using ::testing::ElementsAre;

Op op_on(Role role) {
  Op op;
  op.kind = OpKind::ffn;
  op.role = role;
  return op;
}

Op sized_by(OutcomeId outcome) {
  Op op = op_on(Role::host);
  op.traffic.accesses.push_back({TierId(1), Direction::read, Amount::per(outcome, 8)});
  return op;
}

class StepBuilderTest : public testing::Test {
 protected:
  std::vector<OpId> dependencies(const Step& step, OpId id) const {
    const auto span = step.dependencies_of(step.ops[id.index()]);
    return {span.begin(), span.end()};
  }
  test::TinyMachine tiny_;
  StepBuilder builder_{tiny_.machine, StepId(7), {{RequestId(0), 3, 1}}};
};

TEST_F(StepBuilderTest, gives_dense_ids_and_the_lane_of_the_role) {
  EXPECT_EQ(builder_.add(op_on(Role::device), {}), OpId(0));
  EXPECT_EQ(builder_.add(op_on(Role::h2d), {}), OpId(1));
  const Step step = builder_.take();
  EXPECT_EQ(step.id, StepId(7));
  EXPECT_EQ(step.batch.front().context(), 4);
  EXPECT_EQ(step.ops[0].lane, tiny_.stream);
  EXPECT_EQ(step.ops[1].lane, tiny_.h2d);
}

TEST_F(StepBuilderTest, adds_the_lanes_previous_op_first) {
  const OpId a = builder_.add(op_on(Role::device), {});
  const OpId b = builder_.add(op_on(Role::host), {});
  const OpId c = builder_.add(op_on(Role::device), {b});
  const OpId d = builder_.add(op_on(Role::host), {a});
  const Step step = builder_.take();
  EXPECT_THAT(dependencies(step, a), ElementsAre());
  EXPECT_THAT(dependencies(step, c), ElementsAre(a, b));
  EXPECT_THAT(dependencies(step, d), ElementsAre(b, a));
}

TEST_F(StepBuilderTest, roles_that_share_a_lane_are_ordered) {
  Machine machine("two cores");
  const ProcessorId cpu = machine.add_processor("cpu", ProcessorKind::cpu, {});
  const LaneId lane = machine.add_lane("host", cpu, 1);
  machine.set_role(Role::host, lane);
  machine.set_role(Role::h2d, lane);
  StepBuilder builder(machine, StepId(0), {});
  const OpId a = builder.add(op_on(Role::host), {});
  const OpId b = builder.add(op_on(Role::h2d), {});
  const Step step = builder.take();
  EXPECT_THAT(dependencies(step, b), ElementsAre(a));
}

TEST_F(StepBuilderTest, names_a_dependency_once_and_skips_invalid_ones) {
  const OpId a = builder_.add(op_on(Role::device), {});
  const OpId b = builder_.add(op_on(Role::device), {OpId(), a, a});
  const Step step = builder_.take();
  EXPECT_THAT(dependencies(step, b), ElementsAre(a));
}

TEST_F(StepBuilderTest, refuses_a_dependency_on_itself_or_a_later_op) {
  EXPECT_THROW(builder_.add(op_on(Role::device), {OpId(0)}), InternalError);
  EXPECT_THROW(builder_.add(op_on(Role::device), std::vector<OpId>{OpId(5)}), InternalError);
}

TEST_F(StepBuilderTest, next_op_produces_the_declared_outcome) {
  const OutcomeId outcome = builder_.declare(OutcomeKind::selected_rows, RequestId(0), 1, 2, 9);
  const OpId producer = builder_.add(op_on(Role::host), {});
  builder_.add(sized_by(outcome), {producer});
  const Step step = builder_.take();
  ASSERT_EQ(step.outcomes.size(), 1u);
  EXPECT_EQ(step.outcomes[0].producer, producer);
  EXPECT_EQ(step.outcomes[0].least, 2);
  EXPECT_EQ(step.outcomes[0].bound, 9);
  EXPECT_EQ(step.ops[0].produces, outcome);
  EXPECT_FALSE(step.ops[1].produces.valid());
}

TEST_F(StepBuilderTest, producer_may_be_sized_by_its_own_outcome) {
  const OutcomeId outcome = builder_.declare(OutcomeKind::selected_rows, RequestId(0), 0, 0, 9);
  EXPECT_NO_THROW(builder_.add(sized_by(outcome), {}));
}

TEST_F(StepBuilderTest, refuses_a_size_by_an_outcome_nobody_produces) {
  EXPECT_THROW(builder_.add(sized_by(OutcomeId(0)), {}), InternalError);
  builder_.declare(OutcomeKind::selected_rows, RequestId(0), 0, 0, 9);
  EXPECT_THROW(builder_.add(sized_by(OutcomeId(1)), {}), InternalError);
}

TEST_F(StepBuilderTest, refuses_two_outcomes_of_one_op_and_an_outcome_without_op) {
  builder_.declare(OutcomeKind::selected_rows, RequestId(0), 0, 0, 9);
  EXPECT_THROW(builder_.declare(OutcomeKind::end_of_sequence, RequestId(0), -1, 0, 1), InternalError);
  EXPECT_THROW(builder_.take(), InternalError);
}

TEST_F(StepBuilderTest, refuses_bounds_that_cross) {
  EXPECT_THROW(builder_.declare(OutcomeKind::selected_rows, RequestId(0), 0, 3, 2), InternalError);
  EXPECT_THROW(builder_.declare(OutcomeKind::selected_rows, RequestId(0), 0, -1, 2), InternalError);
}

}  // namespace
}  // namespace hybridgen
