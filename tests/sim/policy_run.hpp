// Drives a policy on the small machine, for the tests that compare whole runs.
#pragma once

#include <gtest/gtest.h>

#include "core/driver/driver.hpp"
#include "sim/world/platform_durations.hpp"
#include "sim/world/seeded_outcomes.hpp"
#include "tests/support/small_machine.hpp"

namespace hybridgen::testing {

inline WorkloadShape small_workload(bool stop_at_end_of_sequence) {
  return {3, 96, 12, stop_at_end_of_sequence};
}

// One end of sequence in about four steps, so that short runs have some.
inline std::unique_ptr<OutcomeSource> small_outcomes(std::int64_t seed = 1) {
  SeededShape shape;
  shape.end_of_sequence = 100'000;
  return std::make_unique<SeededOutcomes>(seed, shape);
}

inline Timeline run_policy(const Machine& machine, const NamedPolicy& choice, Executor& executor, bool stop) {
  const ModelShape model = small_model();
  const WorkloadShape workload = small_workload(stop);
  Policy policy(choice.composition, {machine, model, KvDtype::f16, choice.params}, workload);
  return Driver(machine, model, workload, policy, executor).run();
}

// Every figure of two runs: times within tolerance_ns, all else equal.
inline void expect_same_runs(const Timeline& a, const Timeline& b, TimeNs tolerance_ns) {
  const auto near = [&](TimeNs x, TimeNs y) { return std::abs(x - y) <= tolerance_ns; };
  EXPECT_EQ(a.decision_hash, b.decision_hash);
  EXPECT_EQ(a.tier_peak_bytes, b.tier_peak_bytes);
  ASSERT_EQ(a.steps.size(), b.steps.size());
  for (std::size_t s = 0; s < a.steps.size(); ++s) {
    const StepEvent& x = a.steps[s];
    const StepEvent& y = b.steps[s];
    EXPECT_EQ(x.decision, y.decision);
    EXPECT_EQ(x.structure, y.structure);
    EXPECT_EQ(x.channel_bytes, y.channel_bytes);
    EXPECT_TRUE(near(x.start, y.start) && near(x.end, y.end))
        << "step " << s << ": " << x.start << ".." << x.end << " against " << y.start << ".." << y.end;
    ASSERT_EQ(x.outcomes.size(), y.outcomes.size());
    for (std::size_t i = 0; i < x.outcomes.size(); ++i) EXPECT_EQ(x.outcomes[i].count, y.outcomes[i].count);
    ASSERT_EQ(x.ops.size(), y.ops.size());
    for (std::size_t i = 0; i < x.ops.size(); ++i) {
      EXPECT_EQ(x.ops[i].kind, y.ops[i].kind);
      EXPECT_EQ(x.ops[i].bytes, y.ops[i].bytes);
      EXPECT_TRUE(near(x.ops[i].start, y.ops[i].start) && near(x.ops[i].end, y.ops[i].end))
          << "step " << s << " op " << i << " " << name_of(x.ops[i].kind) << ": " << x.ops[i].start << ".."
          << x.ops[i].end << " against " << y.ops[i].start << ".." << y.ops[i].end;
    }
  }
}

}  // namespace hybridgen::testing
