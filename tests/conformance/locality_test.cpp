// The fit that ships, held against real runs on a text that it was not fitted on.
#include <gtest/gtest.h>

#include <sstream>

#include "core/base/error.hpp"
#include "formats/locality_file.hpp"
#include "formats/model.hpp"
#include "formats/result_folder.hpp"
#include "formats/yaml_reader.hpp"
#include "sim/world/count_figures.hpp"
#include "sim/world/seeded_outcomes.hpp"
#include "tests/formats/support.hpp"

namespace hybridgen::testing {
namespace {

constexpr const char* kFit = "configs/locality/smollm2-135m-instruct.yaml";

ModelShape smollm2() {
  return find_model(source_path("configs/models/smollm2-135m-instruct.yaml")).shape;
}
Locality shipped_fit() {
  return read_locality(source_path(kFit));
}

// Of tests/golden/locality, see its README.
struct HeldOut {
  const char* file;
  std::int64_t alpha_milli;  // 0: top-k
};
std::ostream& operator<<(std::ostream& out, const HeldOut& each) {
  return out << each.file;
}

RecordedRun read_held_out(const HeldOut& held_out) {
  const ModelShape model = smollm2();
  std::istringstream text(read_text_file(source_path(std::string("tests/golden/locality/") + held_out.file)));
  std::string line;
  std::getline(text, line);
  RecordedRun run;
  run.name = held_out.file;
  while (std::getline(text, line)) {
    std::vector<std::int64_t> row;
    std::istringstream fields(line);
    for (std::string field; std::getline(fields, field, ',');) row.push_back(std::stoll(field));
    EXPECT_EQ(row.size(), static_cast<std::size_t>(5 + model.layers)) << line;
    const int group = static_cast<int>(row[2]);
    for (int layer = 0; layer < model.layers; ++layer) {
      const Selection selection{held_out.alpha_milli > 0 ? SelectRule::threshold : SelectRule::top_k,
                                held_out.alpha_milli,
                                layer,
                                model.query_heads / group,
                                group,
                                row[3],
                                row[4]};
      const std::int64_t least = selection.heads * (held_out.alpha_milli > 0 ? 1 : row[3]);
      const std::int64_t bound = selection.heads * std::min(row[4], row[3] * group);
      run.selections.push_back({selection, RequestId(static_cast<std::int32_t>(row[1])), row[0], least, bound,
                                row[static_cast<std::size_t>(5 + layer)]});
    }
  }
  return run;
}

class LocalityOnAnotherText : public ::testing::TestWithParam<HeldOut> {};

// The runs were of a dozen requests: what the source draws on average over seeds, not the luck of one, must
// be near.
TEST_P(LocalityOnAnotherText, CountsMeanAndPercentile_withinATenthOfTheRecordedOnes) {
  const RecordedRun run = read_held_out(GetParam());
  ASSERT_GE(run.selections.size(), 1400u);
  const CountFigures real = recorded_figures(run);
  RecordedRun drawn;
  for (int seed = 1; seed <= 8; ++seed) {
    const LocalityOutcomes outcomes(seed, shipped_fit(), smollm2());
    for (RecordedSelection each : run.selections) {
      each.count = outcomes.count(each.selection, each.request, each.step, each.least, each.bound);
      drawn.selections.push_back(each);
    }
  }
  const CountFigures simulated = recorded_figures(drawn);
  EXPECT_NEAR(simulated.mean / real.mean, 1, 0.1);
  EXPECT_NEAR(simulated.p90 / real.p90, 1, 0.1);
  std::cout << run.name << ": mean " << real.mean << " recorded, " << simulated.mean
            << " drawn; 90th percentile " << real.p90 << ", " << simulated.p90 << "\n";
}

// The bar tells sources apart: what `seeded` draws misses it.
TEST_P(LocalityOnAnotherText, SeededCounts_areFurtherOff) {
  const RecordedRun run = read_held_out(GetParam());
  SeededOutcomes seeded(1);
  double drawn = 0;
  for (const RecordedSelection& each : run.selections) {
    Step step;
    step.id = StepId(each.step);
    drawn +=
        static_cast<double>(seeded.count(step, {OutcomeId(0), OutcomeKind::selected_rows, OpId(0),
                                                each.request, each.selection.layer, each.least, each.bound}));
  }
  drawn /= static_cast<double>(run.selections.size());
  EXPECT_GT(std::abs(drawn / recorded_figures(run).mean - 1), 0.1);
}

INSTANTIATE_TEST_SUITE_P(Gpl3, LocalityOnAnotherText,
                         ::testing::Values(HeldOut{"kv-group-0.01.csv", 0}, HeldOut{"kv-group-0.1.csv", 0},
                                           HeldOut{"kv-group-0.05.csv", 0}, HeldOut{"kv-group-0.2.csv", 0},
                                           HeldOut{"threshold-4-0.2.csv", 4000},
                                           HeldOut{"threshold-3-0.1.csv", 3000},
                                           HeldOut{"threshold-6-0.2.csv", 6000},
                                           HeldOut{"threshold-kv-group-4-0.2.csv", 4000}));

// Of one fit, other shares, groups and lengths than were recorded.
TEST(ShippedLocality, RowsOfAGroup_lieBetweenOneChoiceAndAllAndGrowWithK) {
  const LocalityLaw law(shipped_fit(), 30);
  for (int layer = 0; layer < 30; ++layer) {
    for (const Tokens tokens : {64, 2'000, 131'072}) {
      for (const int group : {2, 3, 4, 8, 16}) {
        std::int64_t last = 0;
        for (std::int64_t k = 1; k <= tokens; k += 1 + k / 3) {
          const std::int64_t share = law.expected({SelectRule::top_k, 0, layer, 1, group, k, tokens}).share;
          EXPECT_GE(share, share_of(k, tokens)) << layer << " " << k;
          EXPECT_LE(share, share_of(std::min<std::int64_t>(tokens, group * k), tokens) + group)
              << layer << " " << k;
          EXPECT_GT(share, last) << "layer " << layer << ", " << k << " of " << tokens << ", group " << group;
          last = share;
        }
      }
    }
  }
}

TEST(ShippedLocality, RowsOverAThreshold_growWithAlphaCapAndLength) {
  const LocalityLaw law(shipped_fit(), 30);
  const auto rows = [&](std::int64_t alpha_milli, int layer, std::int64_t most, Tokens tokens) {
    return static_cast<double>(tokens) / kWholeShare *
           static_cast<double>(
               law.expected({SelectRule::threshold, alpha_milli, layer, 9, 1, most, tokens}).share);
  };
  for (int layer = 0; layer < 30; ++layer) {
    double last = 0;
    for (const std::int64_t alpha : {2000, 2500, 3000, 4000, 5000, 6000}) {
      const double now = rows(alpha, layer, 2000, 10'000);
      EXPECT_GE(now, last) << layer << " alpha " << alpha;
      last = now;
    }
    last = 0;
    for (std::int64_t most = 1; most <= 10'000; most *= 3) {
      const double now = rows(4000, layer, most, 10'000);
      EXPECT_LE(now, static_cast<double>(most) * 1.00001) << layer << " cap " << most;
      EXPECT_GE(now, last) << layer << " cap " << most;
      last = now;
    }
    last = 0;
    for (Tokens tokens = 1'000; tokens <= 131'072; tokens *= 2) {
      const double now = rows(4000, layer, tokens / 5, tokens);
      EXPECT_GE(now, last) << layer << " of " << tokens;
      last = now;
    }
  }
}

TEST(ShippedLocality, RecordedTraceWithAThreshold_givesItsSelections) {
  const StoredResult recorded = read_result(source_path("traces/smollm2-hybridgen-threshold"));
  const ModelShape model = smollm2();
  const Experiment& experiment = recorded.experiment;
  const Policy policy(experiment.composition,
                      {recorded.platform.machine, model, experiment.kv_dtype, experiment.params},
                      experiment.workload());
  const RecordedRun run = recorded_run("trace", policy, model, recorded.timeline);
  ASSERT_EQ(run.selections.size(), 210u);
  const Selection& first = run.selections.front().selection;
  EXPECT_EQ(first.rule, SelectRule::threshold);
  EXPECT_EQ(first.alpha_milli, 4000);
  EXPECT_EQ(first.heads, 9);
  EXPECT_EQ(first.group, 1);
  EXPECT_EQ(first.rows_per_head, 25);
  EXPECT_EQ(first.tokens, 129);
  EXPECT_EQ(run.selections[1].count, 199);

  StoredResult changed = recorded;
  changed.timeline.steps[3].outcomes.pop_back();
  EXPECT_THROW(recorded_run("trace", policy, model, changed.timeline), BadInput);
  changed = recorded;
  changed.timeline.steps[3].outcomes[0].bound -= 1;
  EXPECT_THROW(recorded_run("trace", policy, model, changed.timeline), BadInput);
}

}  // namespace
}  // namespace hybridgen::testing
