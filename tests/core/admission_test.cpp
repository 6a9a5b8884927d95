// Admission: slots, who takes which, when a waiting request starts, and what of a slot the next request
// finds.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/check.hpp"
#include "core/base/error.hpp"
#include "core/driver/driver.hpp"
#include "core/policy/slots.hpp"
#include "tests/support/scripted_executor.hpp"
#include "tests/support/tiny_machine.hpp"
#include "tests/support/tiny_policy.hpp"

namespace hybridgen {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

RequestShape shape(Tokens prompt_tokens, Tokens new_tokens) {
  return {prompt_tokens, new_tokens};
}

// ---- sizes of slots ----

TEST(Slots, as_many_as_requests_have_each_requests_own_size) {
  EXPECT_THAT(slots_for({{shape(10, 4), shape(3, 2), shape(6, 8)}, 3}),
              ElementsAre(shape(3, 2), shape(6, 8), shape(10, 4)));
}

TEST(Slots, more_than_requests_are_not_made) {
  EXPECT_THAT(slots_for({{shape(10, 4)}, 8}), ElementsAre(shape(10, 4)));
}

TEST(Slots, fewer_than_requests_have_the_sizes_of_the_largest) {
  EXPECT_THAT(slots_for({{shape(5, 1), shape(10, 4), shape(3, 2), shape(6, 4)}, 2}),
              ElementsAre(shape(6, 4), shape(10, 4)));
}

TEST(Slots, a_long_prompt_of_a_short_context_stretches_the_largest_slots_prompt) {
  // Contexts 20, 19, 12; the last one's prompt is the longest.
  EXPECT_THAT(slots_for({{shape(2, 19), shape(3, 17), shape(12, 1)}, 2}),
              ElementsAre(shape(3, 17), shape(12, 9)));
}

// ---- who takes which ----

class Admission : public testing::Test {
 protected:
  // "0@1": request 0 in slot 1; a prefill in brackets. One string per step.
  std::vector<std::string> plan(const WorkloadShape& workload, const std::string& admission,
                                test::ScriptedExecutor::Outcomes outcomes = {}) {
    Composition composition = test::composition_of("full-gpu");
    composition.admission = admission;
    Policy policy(composition, {tiny_.machine, model_, KvDtype::f16, {}}, workload);
    test::ScriptedExecutor executor(tiny_.machine, std::move(outcomes));
    Driver driver(tiny_.machine, model_, workload, policy, executor);
    std::vector<std::string> steps;
    for (const StepEvent& step : driver.run().steps) {
      std::string text;
      for (const RequestDecision& row : step.decision.rows) {
        const std::string name = std::to_string(row.request.value) + "@" + std::to_string(row.slot.value);
        text += (text.empty() ? "" : " ") + (row.prefill() ? "[" + name + "]" : name);
      }
      steps.push_back(text);
    }
    return steps;
  }

  test::TinyMachine tiny_;
  const ModelShape model_ = test::tiny_model();
};

TEST_F(Admission, continuous_starts_the_next_request_where_one_ended) {
  EXPECT_THAT(plan({{shape(10, 4), shape(6, 2), shape(5, 3)}, 2}, "continuous"),
              ElementsAre("[0@1]", "[1@0]", "0@1 1@0", "[2@0]", "0@1 2@0", "0@1 2@0"));
}

TEST_F(Admission, static_waits_until_the_whole_group_ended) {
  EXPECT_THAT(plan({{shape(10, 4), shape(6, 2), shape(5, 3)}, 2}, "static"),
              ElementsAre("[0@1]", "[1@0]", "0@1 1@0", "0@1", "0@1", "[2@0]", "2@0", "2@0"));
}

TEST_F(Admission, without_waiting_both_are_the_same) {
  const WorkloadShape workload{{shape(10, 4), shape(6, 2), shape(5, 3)}, 3};
  EXPECT_EQ(plan(workload, "continuous"), plan(workload, "static"));
}

TEST_F(Admission, end_of_sequence_makes_room) {
  const auto stop = [](const Step& step, const Outcome& outcome) -> std::int64_t {
    return step.id == StepId(2) && outcome.request == RequestId(0) ? 1 : 0;
  };
  EXPECT_THAT(plan({{shape(10, 9), shape(10, 4), shape(5, 2)}, 2, true}, "continuous", stop),
              ElementsAre("[0@1]", "[1@0]", "0@1 1@0", "[2@1]", "1@0 2@1", "1@0"));
}

TEST_F(Admission, one_that_waits_for_a_large_slot_is_not_overtaken) {
  // Slots for contexts 12 and 13. Request 0 ends first, but only request 1's room is large enough for
  // request 2.
  EXPECT_THAT(plan({{shape(9, 4), shape(2, 6), shape(10, 4), shape(2, 2)}, 2}, "continuous"),
              ElementsAre("[0@0]", "[1@1]", "0@0 1@1", "0@0 1@1", "0@0 1@1", "1@1", "1@1", "[2@1]", "[3@0]",
                          "2@1 3@0", "2@1", "2@1"));
}

TEST_F(Admission, one_slot_serves_all_one_after_the_other) {
  EXPECT_THAT(plan({{shape(4, 2), shape(6, 1), shape(5, 2)}, 1}, "continuous"),
              ElementsAre("[0@0]", "0@0", "[1@0]", "[2@0]", "2@0"));
}

// ---- capacity ----

// Request of 10 + 4 tokens under hybridgen, as in driver_test.cpp: hbm 1344 bytes beside the weights' 8688,
// dram 944.
constexpr Bytes kWeights = 8688;
constexpr Bytes kDevice = 1344;
constexpr Bytes kHost = 944;

// What kernels work in: by the largest step, not by the sum of the requests.
Bytes withheld(const MemoryPlan& plan, TierId tier) {
  Bytes sum = 0;
  for (const Reservation& r : plan.reservations) {
    const bool works = r.purpose == Purpose::activations || r.purpose == Purpose::workspace;
    if (works && r.tier == tier) sum += r.bytes;
  }
  return sum;
}

TEST_F(Admission, more_requests_than_fit_at_once_run_within_the_capacity_of_two) {
  const WorkloadShape workload{std::vector<RequestShape>(5, shape(10, 4)), 2};
  const Policy planned = test::make_policy(tiny_.machine, model_, workload, "hybridgen");
  const MemoryPlan& plan = planned.memory_plan();
  const test::TinyMachine two(
      {kWeights + 2 * kDevice + withheld(plan, tiny_.hbm), 2 * kHost + withheld(plan, tiny_.dram), 1});
  Policy policy = test::make_policy(two.machine, model_, workload, "hybridgen");
  test::ScriptedExecutor executor(two.machine);
  Driver driver(two.machine, model_, workload, policy, executor);
  while (driver.advance()) {
    int in_flight = 0;
    for (const RequestView& request : driver.requests()) in_flight += request.in_flight() ? 1 : 0;
    EXPECT_LE(in_flight, 2);
  }
  for (const RequestView& request : driver.requests()) EXPECT_EQ(request.generated, 4);
  EXPECT_EQ(driver.residency().peak(two.hbm), kWeights + 2 * kDevice);
  EXPECT_EQ(driver.residency().peak(two.dram), 2 * kHost);

  const WorkloadShape at_once{workload.requests, 5};
  Policy greedy = test::make_policy(two.machine, model_, at_once, "hybridgen");
  EXPECT_THROW(Driver(two.machine, model_, at_once, greedy, executor), DoesNotFit);
}

TEST_F(Admission, the_plan_of_unequal_requests_is_the_sum_of_their_own) {
  const std::vector<RequestShape> requests = {shape(10, 4), shape(40, 3), shape(2, 1)};
  const auto shared_by_all = [&](const std::string& preset) {
    const Policy policy = test::make_policy(tiny_.machine, model_, {{shape(10, 4)}, 1}, preset);
    Bytes bytes = 0;
    for (const Reservation& r : policy.memory_plan().reservations) {
      if (r.purpose == Purpose::weights || r.purpose == Purpose::predictor) bytes += r.bytes;
    }
    return bytes;
  };
  EXPECT_EQ(shared_by_all("hybridgen"), kWeights);
  for (const PresetEntry& preset : preset_registry()) {
    const auto needed = [&](const std::vector<RequestShape>& some, TierId tier) {
      const WorkloadShape workload{some, static_cast<int>(some.size())};
      const Policy policy = test::make_policy(tiny_.machine, model_, workload, preset.name);
      return policy.memory_plan().needed(tier) - withheld(policy.memory_plan(), tier);
    };
    for (const Tier& tier : tiny_.machine.tiers()) {
      Bytes sum = 0;
      for (const RequestShape& request : requests) sum += needed({request}, tier.id);
      if (tier.id == tiny_.hbm) sum -= 2 * shared_by_all(preset.name);  // in memory once
      EXPECT_EQ(needed(requests, tier.id), sum) << preset.name << " " << tier.name;
    }
  }
}

// ---- decisions from a file ----

class ForcedSlots : public Admission {
 protected:
  void run(const std::vector<Decision>& decisions) {
    const WorkloadShape workload{{shape(10, 4), shape(6, 4)}, 2};  // slots for contexts 9 and 13
    Policy policy = test::make_policy(tiny_.machine, model_, workload, "full-gpu");
    test::ScriptedExecutor executor(tiny_.machine);
    Driver driver(tiny_.machine, model_, workload, policy, executor);
    driver.force(decisions);
    driver.run();
  }
  static RequestDecision prefill(int request, Tokens tokens, int slot) {
    return {RequestId(request), 0, tokens, tokens, 0, 0, 0, SlotId(slot)};
  }
};

TEST_F(ForcedSlots, one_that_is_taken_is_refused) {
  EXPECT_THAT(
      [&] {
        run({{StepId(0), {prefill(0, 10, 1)}}, {StepId(1), {prefill(1, 6, 1)}}});
      },
      ThrowsMessage<InternalError>(HasSubstr("request 1 in slot 1, which has request 0")));
}

TEST_F(ForcedSlots, one_that_does_not_exist_is_refused) {
  EXPECT_THAT(
      [&] {
        run({{StepId(0), {prefill(0, 10, 2)}}});
      },
      ThrowsMessage<InternalError>(HasSubstr("request 0 in slot 2 of 2")));
}

TEST_F(ForcedSlots, one_that_is_too_small_is_refused) {
  EXPECT_THAT(
      [&] {
        run({{StepId(0), {prefill(0, 10, 0)}}});
      },
      ThrowsMessage<InternalError>(HasSubstr("request 0 in slot 0: 10 device tokens")));
}

TEST_F(ForcedSlots, a_move_into_another_is_refused) {
  RequestDecision decode{RequestId(1), 6, 1, 7, 0, 0, 0, SlotId(1)};
  EXPECT_THAT(
      [&] {
        run({{StepId(0), {prefill(1, 6, 0)}}, {StepId(1), {decode}}});
      },
      ThrowsMessage<InternalError>(HasSubstr("request 1 in slot 1, not in its own slot 0")));
}

}  // namespace
}  // namespace hybridgen
