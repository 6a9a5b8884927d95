#include "tests/bench/dispatch_bench.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>

#include "core/base/check.hpp"
#include "core/policy/model_ops.hpp"
#include "core/step/step_builder.hpp"
#include "runtime/calibrate/samples.hpp"
#include "runtime/host/team.hpp"
#include "tests/support/counting_executor.hpp"
#include "tests/support/host_world.hpp"

namespace hybridgen::testing {
namespace {

constexpr int kOps = 1000;  // of a step
constexpr int kSteps = 20;

void print(const char* what, const std::vector<double>& ns, const char* unit = "ns") {
  const Figure figure = figure_of(ns);
  std::printf("%-58s %8.0f %s (spread %.0f %%)\n", what, figure.value, unit, figure.spread * 100);
}

// Steps of ops that have next to nothing to do: what is left is the executor. `other_lane`: every second op
// is the host lane's and waits for the one before.
std::vector<double> between_starts(bool other_lane) {
  const Machine machine = host_machine();
  const auto model = tiny_model();
  const PolicyChoice choice{
      "hybridgen", {{"device_kv_tokens", 16}, {"topk_ratio", 200'000}}, {}, KvDtype::f16};
  const WorkloadShape workload{1, 16, 8, false};
  const Policy policy(composition_of(choice), {machine, model->shape, choice.kv_dtype, params_for(choice)},
                      workload);
  TokenFeed feed;
  feed.prompts = {prompt_of(16, 200, 3)};
  HostExecutor executor(machine, model, policy.memory_plan(), std::move(feed), 8);
  const ModelOps ops(model->shape, policy.memory_plan());
  RequestDecision row;
  row.request = RequestId(0);
  row.query_tokens = 1;
  std::vector<double> gaps;
  for (int i = 0; i < kSteps; ++i) {
    StepBuilder builder(machine, StepId(i), {{row.request, 0, 1}});
    OpId last;
    for (int op = 0; op < kOps; ++op) {
      const bool down = other_lane && op % 2 == 1;
      last = builder.add(down ? ops.send_query(row, 0) : ops.device_logits(row, 0, 0), {last});
    }
    executor.submit(std::make_shared<const Step>(builder.take()));
    const Report report = executor.wait();
    for (std::size_t op = 1; op < report.records.size(); ++op) {
      gaps.push_back(static_cast<double>(report.records[op].start - report.records[op - 1].start));
    }
  }
  return gaps;
}

// A lane of two threads that has waited for another lane for 0.6 ms: what its next op pays until both work.
std::vector<double> behind_a_gap(bool alert) {
  using Clock = std::chrono::steady_clock;
  constexpr auto kGap = std::chrono::microseconds(600);
  constexpr int kRounds = 300;
  std::vector<double> taken;
  std::atomic<int> shares{0};
  {
    Team team(2, 0, [&](Team& lane) {
      lane.stay_alert(alert);
      for (int round = 0; round < kRounds; ++round) {
        for (const auto until = Clock::now() + kGap; Clock::now() < until;) cpu_relax();
        const auto begin = Clock::now();
        lane.parallel(2, 1, [&shares](int, std::int64_t, std::int64_t) { ++shares; });
        taken.push_back(std::chrono::duration<double, std::nano>(Clock::now() - begin).count());
      }
    });
  }
  HG_CHECK(shares == 2 * kRounds, "a share of a lane's op was not carried out");
  return taken;
}

void run_decode() {
  const Machine machine = host_machine();
  const auto model = tiny_model();
  const PolicyChoice choice{
      "hybridgen", {{"device_kv_tokens", 64}, {"topk_ratio", 50'000}}, {}, KvDtype::f16};
  const WorkloadShape workload{1, 256, 200, false};
  Policy policy(composition_of(choice), {machine, model->shape, choice.kv_dtype, params_for(choice)},
                workload);
  TokenFeed feed;
  feed.prompts = {prompt_of(256, 200, 3)};
  HostExecutor executor(machine, model, policy.memory_plan(), std::move(feed), 200);
  CountingExecutor counting(executor);
  Driver driver(machine, model->shape, workload, policy, counting);
  const Timeline& timeline = driver.run();
  std::vector<double> gaps, wakeups, decided, step;
  for (std::size_t i = 8; i < timeline.steps.size(); ++i) {
    const StepCounts& counts = counting.counts()[i];
    gaps.push_back(static_cast<double>(timeline.steps[i].ops.front().start - timeline.steps[i - 1].end));
    wakeups.push_back(static_cast<double>(counts.wakeups));
    decided.push_back(static_cast<double>(counts.decided + counts.reported));
    step.push_back(static_cast<double>(counts.submitted + counts.lanes));
  }
  std::printf("hybridgen, %zu ops per step:\n", counting.counts().back().ops);
  print("  from a step's end to the next one's first op", gaps);
  print("  wake-ups of the driver per step", wakeups, "");
  print("  and at most", {*std::max_element(wakeups.begin(), wakeups.end())}, "");
  print("  allocations from submit to the end of a step", step, "");
  print("  allocations between steps (deciding, building, report)", decided, "");
}

}  // namespace

void run_dispatch() {
  std::printf("host executor, two lanes of one thread:\n");
  print("  host time per op: start to start on one lane", between_starts(false));
  print("  and with a hand-over to the other lane at each op", between_starts(true));
  std::printf("a lane of two threads, behind a gap of 0.6 ms:\n");
  print("  an op of nothing, its helper asleep", behind_a_gap(false));
  print("  and alert, as within a step", behind_a_gap(true));
  run_decode();
}

}  // namespace hybridgen::testing
