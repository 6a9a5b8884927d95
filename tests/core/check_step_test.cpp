// check_step: what an executor may rely on; every violation names the op.
#include "core/executor/check_step.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/check.hpp"
#include "tests/support/tiny_machine.hpp"
#include "tests/support/tiny_policy.hpp"

namespace hybridgen {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

class CheckStep : public testing::Test {
 protected:
  CheckStep() {
    capabilities_.executor = "scripted";
    capabilities_.kinds.fill(true);
  }
  static Op op(OpKind kind, Role role) {
    Op made;
    made.kind = kind;
    made.role = role;
    return made;
  }
  void check(const Step& step) const { check_step(step, tiny_.machine, capabilities_); }
  void expect_refused(const Step& step, const std::string& what) const {
    EXPECT_THAT([&] { check(step); }, ThrowsMessage<InternalError>(HasSubstr(what)));
  }

  test::TinyMachine tiny_;
  Capabilities capabilities_;
  StepBuilder builder_{tiny_.machine, StepId(3), {}};
};

TEST_F(CheckStep, steps_of_every_preset_pass) {
  const ModelShape model = test::tiny_model();
  for (const PresetEntry& preset : preset_registry()) {
    Policy policy = test::make_policy(tiny_.machine, model, {1, 10, 4, true}, preset.name);
    const std::vector<RequestView> requests = {{RequestId(0), 10, 0, 0, 0, 0, false}};
    EXPECT_NO_THROW(check(policy.build(policy.decide({StepId(0), requests, Estimator()})))) << preset.name;
  }
}

TEST_F(CheckStep, kind_that_the_executor_lacks_names_step_op_kind_and_executor) {
  capabilities_.kinds[static_cast<std::size_t>(OpKind::select)] = false;
  builder_.add(op(OpKind::ffn, Role::device), {});
  builder_.add(op(OpKind::select, Role::host), {});
  expect_refused(builder_.take(), "step 3 op 1 (select): executor scripted does not carry it out");
}

TEST_F(CheckStep, memory_out_of_reach) {
  Op bad = op(OpKind::attend, Role::device);
  bad.traffic.accesses.push_back({tiny_.dram, Direction::read, Amount::fixed(8)});
  builder_.add(bad, {});
  expect_refused(builder_.take(), "step 3 op 0 (attend): gpu cannot reach dram");
}

TEST_F(CheckStep, copy_without_path) {
  Op bad = op(OpKind::load_kv, Role::h2d);
  bad.traffic.copies.push_back({tiny_.dram, tiny_.cxl, Amount::fixed(8)});
  builder_.add(bad, {});
  expect_refused(builder_.take(), "no path from dram to cxl");
}

TEST_F(CheckStep, negative_size) {
  Op bad = op(OpKind::ffn, Role::device);
  bad.traffic.flops = Amount::fixed(-1);
  builder_.add(bad, {});
  expect_refused(builder_.take(), "op 0 has a negative size");
}

TEST_F(CheckStep, size_by_an_outcome_whose_producer_does_not_come_before) {
  const OutcomeId outcome = builder_.declare(OutcomeKind::selected_rows, RequestId(0), 0, 0, 4);
  builder_.add(op(OpKind::select, Role::host), {});
  Op sized = op(OpKind::send_rows, Role::h2d);  // another lane, no dependency
  sized.traffic.copies.push_back({tiny_.dram, tiny_.hbm, Amount::per(outcome, 8)});
  builder_.add(sized, {});
  expect_refused(builder_.take(), "op 1 is sized by outcome 0 but does not come after its producer 0");
}

TEST_F(CheckStep, size_by_an_outcome_produced_along_a_chain_passes) {
  const OutcomeId outcome = builder_.declare(OutcomeKind::selected_rows, RequestId(0), 0, 0, 4);
  const OpId producer = builder_.add(op(OpKind::select, Role::host), {});
  const OpId between = builder_.add(op(OpKind::device_logits, Role::device), {producer});
  Op sized = op(OpKind::send_rows, Role::h2d);
  sized.traffic.copies.push_back({tiny_.dram, tiny_.hbm, Amount::per(outcome, 8)});
  builder_.add(sized, {between});
  EXPECT_NO_THROW(check(builder_.take()));
}

TEST_F(CheckStep, search_for_a_producer_is_linear_in_the_step) {
  // A ladder of two lanes: 2^200 paths, 400 ops. The search must not walk paths.
  const OutcomeId outcome = builder_.declare(OutcomeKind::selected_rows, RequestId(0), 0, 0, 4);
  builder_.add(op(OpKind::select, Role::host), {});
  OpId left = builder_.add(op(OpKind::ffn, Role::device), {});
  OpId right = builder_.add(op(OpKind::offload_kv, Role::d2h), {});
  for (int i = 0; i < 200; ++i) {
    const OpId next = builder_.add(op(OpKind::ffn, Role::device), {left, right});
    right = builder_.add(op(OpKind::offload_kv, Role::d2h), {left, right});
    left = next;
  }
  Op sized = op(OpKind::ffn, Role::device);
  sized.traffic.accesses.push_back({tiny_.hbm, Direction::read, Amount::per(outcome, 8)});
  builder_.add(sized, {left, right});
  expect_refused(builder_.take(), "does not come after its producer 0");
}

TEST_F(CheckStep, ids_that_are_not_dense) {
  builder_.add(op(OpKind::ffn, Role::device), {});
  Step step = builder_.take();
  step.ops[0].id = OpId(4);
  expect_refused(step, "op ids are not dense at 0");
}

TEST_F(CheckStep, dependency_on_a_later_op) {
  builder_.add(op(OpKind::ffn, Role::device), {});
  builder_.add(op(OpKind::ffn, Role::device), {});
  Step step = builder_.take();
  step.dependencies[0] = OpId(1);
  expect_refused(step, "step 3 op 1 (ffn) depends on 1");
}

}  // namespace
}  // namespace hybridgen
