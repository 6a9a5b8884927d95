// Schedulers in a real run: they read the clock's times, so what they decide differs from run to run; that
// they keep within their bounds and start fresh with each request does not.
#include <gtest/gtest.h>

#include "tests/support/host_world.hpp"

namespace hybridgen::testing {
namespace {

constexpr Tokens kPrompt = 300, kNew = 41, kDevice = 32;
constexpr std::int64_t kInterval = 2;

class SchedulerOnHost : public ::testing::TestWithParam<std::string> {
 protected:
  Timeline run(std::int64_t dead_band) const {
    const PolicyChoice choice{"hybridgen",
                              {{"device_kv_tokens", kDevice},
                               {"topk_ratio", 100'000},
                               {"feedback.interval", kInterval},
                               {"feedback.dead_band_permille", dead_band},
                               {"feedback.device_least", 8},
                               {"feedback.ratio_least", 20'000},
                               {"feedback.cap_least", 40}},
                              {{"split", GetParam()}},
                              KvDtype::f16};
    const auto model = tiny_model();
    TokenFeed feed;
    for (const std::uint32_t seed : {5U, 6U}) {
      feed.prompts.push_back(prompt_of(kPrompt, model->shape.vocab, seed));
      feed.forced.push_back(prompt_of(kNew, model->shape.vocab, seed + 50));
    }
    const WorkloadShape one_after_the_other({{kPrompt, kNew}, {kPrompt, kNew}}, 1);
    return run_on_host(host_machine(), model, choice, one_after_the_other, std::move(feed)).timeline;
  }
};

TEST_P(SchedulerOnHost, RealTimes_neverLeavesItsBounds) {
  int notes = 0;
  for (const std::int64_t dead_band : {0, 100}) {
    for (const StepEvent& step : run(dead_band).steps) {
      for (const SplitNote& note : step.decision.notes) {
        ++notes;
        EXPECT_GT(note.host_ns, 0);
        EXPECT_GT(note.device_ns, 0);
        EXPECT_GE(note.ratio, 20'000);
        EXPECT_LE(note.ratio, 500'000);
        EXPECT_TRUE(note.scan_cap == 0 || note.scan_cap >= 40) << note.scan_cap;
        EXPECT_GE(note.device_tokens, 8);
        EXPECT_LE(note.device_tokens, kDevice);
        if (dead_band == 0 && GetParam() == "feedback") {
          EXPECT_NE(note.move, SplitMove::keep);
        }
      }
    }
  }
  // 40 decode steps of two requests, a decision at every second but the first, in two runs.
  EXPECT_EQ(notes, 2 * 2 * 19);
}

// The first decode steps of a request come before its first decision.
TEST_P(SchedulerOnHost, SecondRequest_beginsWhereTheFirstBegan) {
  const Timeline timeline = run(0);
  std::vector<std::vector<RequestDecision>> decoded(2);
  for (const StepEvent& step : timeline.steps) {
    for (const RequestDecision& row : step.decision.rows) {
      if (!row.prefill()) decoded.at(row.request.index()).push_back(row);
    }
  }
  for (std::size_t i = 0; i < kInterval; ++i) {
    EXPECT_EQ(decoded[0].at(i).rows_per_head, decoded[1].at(i).rows_per_head) << i;
    EXPECT_EQ(decoded[0].at(i).scan_tokens, decoded[1].at(i).scan_tokens) << i;
    EXPECT_EQ(decoded[0].at(i).device_tokens, decoded[1].at(i).device_tokens) << i;
  }
  EXPECT_NE(decoded[0].back().rows_per_head, decoded[0].front().rows_per_head) << "or the test shows nothing";
}

INSTANTIATE_TEST_SUITE_P(Splits, SchedulerOnHost, ::testing::Values("feedback", "model-based"),
                         [](const auto& each) {
                           return each.param == "feedback" ? "feedback" : "model_based";
                         });

}  // namespace
}  // namespace hybridgen::testing
