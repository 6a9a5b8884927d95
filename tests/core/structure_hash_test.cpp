// structure_hash: equal for steps that differ in sizes alone, different for everything else.
#include <gtest/gtest.h>

#include <functional>

#include "tests/support/tiny_machine.hpp"
#include "tests/support/tiny_policy.hpp"

namespace hybridgen {
namespace {

class StructureHash : public testing::TestWithParam<std::string> {
 protected:
  // The decode step of one request with `cached` tokens behind it, as the policy would decide it when every
  // earlier step ran.
  std::uint64_t decode(Tokens cached, const std::string& policy_name) {
    const WorkloadShape workload{1, cached, 8};
    Policy policy = test::make_policy(tiny_.machine, model_, workload, policy_name);
    RequestView request{RequestId(0), cached, 0, 0, 0, 0, false};
    const Decision prefill = decide(policy, request, 0);
    request.cached_tokens = cached;
    request.device_tokens = prefill.rows[0].device_tokens;
    request.host_tokens = prefill.rows[0].host_tokens;
    return structure_hash(policy.build(decide(policy, request, 1)));
  }
  std::uint64_t prefill(Tokens prompt, const std::string& policy_name) {
    Policy policy = test::make_policy(tiny_.machine, model_, {1, prompt, 8}, policy_name);
    return structure_hash(policy.build(decide(policy, {RequestId(0), prompt, 0, 0, 0, 0, false}, 0)));
  }

  test::TinyMachine tiny_;
  ModelShape model_ = test::tiny_model();

 private:
  static Decision decide(Policy& policy, const RequestView& request, int step) {
    const std::vector<RequestView> requests = {request};
    return policy.decide({StepId(step), requests, Estimator()});
  }
};

TEST_P(StructureHash, of_decode_is_the_same_at_every_length) {
  const std::uint64_t at_20 = decode(20, GetParam());
  EXPECT_EQ(decode(21, GetParam()), at_20);
  EXPECT_EQ(decode(100, GetParam()), at_20);
}

TEST_P(StructureHash, of_prefill_is_the_same_at_every_length) {
  EXPECT_EQ(prefill(20, GetParam()), prefill(90, GetParam()));
}

TEST_P(StructureHash, tells_two_layers_from_three) {
  const std::uint64_t two_layers = decode(20, GetParam());
  model_ = test::tiny_model(3);
  EXPECT_NE(decode(20, GetParam()), two_layers);
}

std::vector<std::string> policy_names() {
  std::vector<std::string> names = {"hybridgen+threshold"};
  for (const PresetEntry& preset : preset_registry()) names.push_back(preset.name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(policies, StructureHash, testing::ValuesIn(policy_names()),
                         [](const auto& test_info) {
                           std::string name = test_info.param;
                           for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
                           return name;
                         });

class StructureHashOfStep : public testing::Test {
 protected:
  // Two ops; `change` may alter the second.
  std::uint64_t hash(const std::function<void(Op&)>& change) const {
    StepBuilder builder(tiny_.machine, StepId(0), {{RequestId(0), 5, 1}});
    Op first;
    first.role = Role::host;
    const OpId before = builder.add(first, {});
    Op op;
    op.kind = OpKind::load_kv;
    op.role = Role::h2d;
    op.layer = 1;
    op.request = RequestId(0);
    op.traffic.copies.push_back({tiny_.dram, tiny_.hbm, Amount::fixed(100)});
    change(op);
    builder.add(op, {before});
    return structure_hash(builder.take());
  }
  test::TinyMachine tiny_;
  const std::uint64_t plain_ = hash([](Op&) {});
};

TEST_F(StructureHashOfStep, ignores_sizes) {
  EXPECT_EQ(plain_, hash([](Op& op) {
              op.work.tokens = 9;
              op.work.first_token = 4;
              op.work.rows_per_head = 3;
              op.traffic.flops = Amount::fixed(77);
              op.traffic.copies[0].bytes = Amount::fixed(200);
            }));
}

TEST_F(StructureHashOfStep, sees_each_choice) {
  const std::vector<std::function<void(Op&)>> changes = {
      [](Op& op) { op.kind = OpKind::send_rows; },
      [](Op& op) { op.role = Role::d2h; },
      [](Op& op) { op.layer = 0; },
      [](Op& op) { op.request = RequestId(1); },
      [](Op& op) { op.work.kv = KvPlace::staging; },
      [](Op& op) { op.work.buffer = 1; },
      [](Op& op) { op.work.rule = SelectRule::top_k; },
      [this](Op& op) { op.traffic.copies[0].from = tiny_.cxl; },
      [this](Op& op) {
        op.traffic.accesses.push_back({tiny_.hbm, Direction::read, Amount::fixed(1)});
      },
  };
  std::vector<std::uint64_t> seen = {plain_};
  for (std::size_t i = 0; i < changes.size(); ++i) {
    const std::uint64_t changed = hash(changes[i]);
    for (const std::uint64_t other : seen) EXPECT_NE(changed, other) << "change " << i;
    seen.push_back(changed);
  }
}

TEST_F(StructureHashOfStep, sees_which_outcome_sizes_an_op) {
  // A graph whose copy waits for one count must not be used for a copy that waits for another.
  const auto build = [this](int outcome) {
    StepBuilder builder(tiny_.machine, StepId(0), {});
    Op op;
    op.role = Role::host;
    for (int i = 0; i < 2; ++i) {
      builder.declare(OutcomeKind::selected_rows, RequestId(0), 0, 0, 4);
      builder.add(op, {});
    }
    op.traffic.accesses.push_back(
        {tiny_.dram, Direction::read, outcome < 0 ? Amount::fixed(8) : Amount::per(OutcomeId(outcome), 8)});
    builder.add(op, {});
    return structure_hash(builder.take());
  };
  EXPECT_NE(build(0), build(1));
  EXPECT_NE(build(-1), build(0));
}

}  // namespace
}  // namespace hybridgen
