// What the host executor promises beside results: failures come out, steps keep their order, nothing hangs.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>

#include "core/base/error.hpp"
#include "runtime/host/numa_memory.hpp"
#include "runtime/host/request_buffers.hpp"
#include "runtime/host/team.hpp"
#include "runtime/host/throttle.hpp"
#include "tests/support/host_world.hpp"

namespace hybridgen::testing {
namespace {

TEST(Team, Parallel_threeThreads_everyItemOnce) {
  std::vector<int> seen(1001);
  {
    Team team(3, 0, [&seen](Team& lane) {
      lane.parallel(1001, 16, [&seen](int, std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) ++seen[static_cast<std::size_t>(i)];
      });
    });
  }
  EXPECT_EQ(std::count(seen.begin(), seen.end(), 1), 1001);
}

TEST(Team, Parallel_aShareThrows_comesOutOnceAndTheTeamWorksOn) {
  std::atomic<int> caught{0};
  std::atomic<std::int64_t> done{0};
  {
    Team team(3, 0, [&](Team& lane) {
      for (int round = 0; round < 50; ++round) {
        try {
          lane.parallel(30, 1, [](int thread, std::int64_t, std::int64_t) {
            if (thread == 2) throw std::runtime_error("thread 2");
          });
        } catch (const std::runtime_error&) {
          ++caught;
        }
        lane.parallel(30, 1, [&done](int, std::int64_t begin, std::int64_t end) { done += end - begin; });
      }
    });
  }
  EXPECT_EQ(caught.load(), 50);
  EXPECT_EQ(done.load(), 50 * 30);
}

// Longer than a helper spins, on and off: nobody is lost, and the team comes to an end.
TEST(Team, StayAlert_gapsBetweenOps_everyItemOnce) {
  std::atomic<std::int64_t> done{0};
  {
    Team team(3, 0, [&](Team& lane) {
      for (int round = 0; round < 12; ++round) {
        lane.stay_alert(round % 4 != 3);
        std::this_thread::sleep_for(std::chrono::milliseconds(3));
        lane.parallel(30, 1, [&done](int, std::int64_t begin, std::int64_t end) { done += end - begin; });
      }
      lane.stay_alert(true);
    });
  }
  EXPECT_EQ(done.load(), 12 * 30);
}

TEST(RingRuns, Wrapping_twoRunsInTokenOrder) {
  const auto runs = ring_runs(10, 5, 8);  // positions 10..14 sit in slots 2..6
  EXPECT_EQ(runs[0].slot, 2);
  EXPECT_EQ(runs[0].count, 5);
  EXPECT_EQ(runs[1].count, 0);
  const auto wrapped = ring_runs(13, 6, 8);  // 13, 14, 15 in slots 5..7, 16, 17, 18 in 0..2
  EXPECT_EQ(wrapped[0].slot, 5);
  EXPECT_EQ(wrapped[0].count, 3);
  EXPECT_EQ(wrapped[1].slot, 0);
  EXPECT_EQ(wrapped[1].count, 3);
}

// A policy and an executor of it, with the steps made in advance.
struct Rig {
  Rig()
      : policy(composition_of(choice), {machine, model->shape, KvDtype::f16, params_for(choice)}, workload),
        executor(machine, model, policy.memory_plan(), feed(), 8) {}
  static TokenFeed feed() {
    TokenFeed feed;
    feed.prompts = {prompt_of(40, 200, 3)};
    return feed;
  }
  std::shared_ptr<const Step> step(int id, Tokens first, Tokens count) {
    const Tokens context = first + count;
    const RequestDecision row{RequestId(0),
                              first,
                              count,
                              16,
                              context - 16,
                              count == 1 ? 1 : 0,
                              count == 1 ? 4 : 0,
                              SlotId(0),
                              count == 1 ? context - 16 : 0};
    return std::make_shared<const Step>(policy.build({StepId(id), {row}}));
  }
  const PolicyChoice choice{
      "hybridgen", {{"device_kv_tokens", 16}, {"topk_ratio", 200'000}}, {}, KvDtype::f16};
  const WorkloadShape workload{1, 40, 8, false};
  Machine machine = host_machine();
  std::shared_ptr<const HostModel> model = tiny_model();
  Policy policy;
  HostExecutor executor;
};

TEST(HostExecutor, SeveralStepsInFlight_runOneAfterTheOther) {
  Rig rig;
  for (int i = 0; i < 4; ++i) rig.executor.submit(i == 0 ? rig.step(0, 0, 40) : rig.step(i, 39 + i, 1));
  TimeNs before = 0;
  for (int i = 0; i < 4; ++i) {
    const Report report = rig.executor.wait();
    EXPECT_EQ(report.step, StepId(i));
    TimeNs first = report.end;
    for (const OpRecord& record : report.records) first = std::min(first, record.start);
    EXPECT_GE(first, before) << "step " << i << " began before the one before it ended";
    before = report.end;
  }
}

TEST(HostExecutor, DestroyedWithAStepInFlight_endsInsteadOfHanging) {
  Rig rig;
  rig.executor.submit(rig.step(0, 0, 40));
  rig.executor.submit(rig.step(1, 40, 1));
}

TEST(HostExecutor, FailingOp_isThrownByWait) {
  Rig rig;
  rig.executor.submit(rig.step(0, 5, 40));  // the prompt has no tokens that far
  EXPECT_ANY_THROW(rig.executor.wait());
}

TEST(HostExecutor, CxlThatIsNotEmulated_isRefused) {
  Machine machine = host_machine();
  machine.add_tier("card", TierKind::cxl, 1 << 20, machine.tiers().front().channel);
  EXPECT_THROW(HostExecutor(machine, tiny_model(), MemoryPlan{}, {}, 1), NotAvailable);
}

TEST(HostExecutor, MemoryOnANodeThatIsNotThere_isRefused) {
  Machine machine = host_machine();
  machine.set_numa_node(TierId(1), 1023);
  EXPECT_THROW(HostExecutor::check(machine, MemoryPlan{}, Weights::to_come), NotAvailable);
}

TEST(Throttle, EmulatedTier_endIsBytesOverBandwidthAndLanesQueue) {
  const Machine machine = host_machine(1, true);  // tier 2: cxl, emulated, 10 GB/s
  Throttle throttle(machine);
  EXPECT_EQ(throttle.end_of(100, {0, 5000, 0, 0}), 100) << "dram is real: nothing to wait for";
  EXPECT_EQ(throttle.end_of(100, {0, 0, 5000, 0}), 100 + 500);
  EXPECT_EQ(throttle.end_of(200, {0, 0, 1000, 0}), 600 + 100) << "the other lane's bytes go first";
  EXPECT_EQ(throttle.end_of(9000, {0, 0, 1000, 0}), 9100) << "an idle channel gives no credit";
}

// On any machine with at least one node; three of them are tested in tests/numa.
TEST(NumaMemory, OneNode_everyPageThereAndZeroed) {
  const std::vector<int> nodes = usable_nodes();
  if (nodes.empty()) GTEST_SKIP() << "this system knows no NUMA nodes";
  const MemorySource source = node_memory({nodes.back()});
  const Bytes bytes = 5 * kPageBytes + 1;
  std::byte* address = source.take(bytes);
  ASSERT_NE(address, nullptr);
  EXPECT_EQ(page_nodes(address, bytes), std::vector<int>(6, nodes.back()));
  EXPECT_EQ(std::count(address, address + bytes, std::byte{0}), bytes);
  source.give_back(address, bytes);
}

TEST(NumaMemory, MoreThanTheNodeHas_refusedNamingWantedAndFree) {
  const std::vector<int> nodes = usable_nodes();
  if (nodes.empty()) GTEST_SKIP() << "this system knows no NUMA nodes";
  const Bytes wanted = Bytes{1} << 50;
  try {
    node_memory({nodes.front()}).take(wanted);
    FAIL() << "a pebibyte was given";
  } catch (const DoesNotFit& error) {
    const std::string text = error.what();
    EXPECT_EQ(text.find("NUMA node " + std::to_string(nodes.front()) + ": " + std::to_string(wanted) +
                        " bytes wanted, "),
              0U)
        << text;
  }
}

}  // namespace
}  // namespace hybridgen::testing
