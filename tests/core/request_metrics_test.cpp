// What each request got out of a run, worked out by hand.
#include "core/driver/request_metrics.hpp"

#include <gtest/gtest.h>

namespace hybridgen {
namespace {

constexpr TimeNs kMs = 1'000'000;

// A step over these requests, each in the slot of twice its number.
StepEvent step(TimeNs start, TimeNs end, const std::vector<int>& requests) {
  StepEvent event;
  event.start = start;
  event.end = end;
  for (const int id : requests) {
    RequestDecision row;
    row.request = RequestId(id);
    row.slot = SlotId(2 * id);
    event.decision.rows.push_back(row);
  }
  return event;
}

TEST(RequestMetrics, waits_between_a_requests_tokens_are_in_its_tpot) {
  // Request 0: tokens at 10, 13 and 33 ms, the 20 ms between them another one's prefill; request 1: 30 and 33
  // ms.
  Timeline timeline;
  timeline.steps = {step(2 * kMs, 10 * kMs, {0}), step(10 * kMs, 13 * kMs, {0}),
                    step(13 * kMs, 30 * kMs, {1}), step(30 * kMs, 33 * kMs, {0, 1})};
  const auto metrics = request_metrics({{{5, 3}, {70, 9}, {8, 8}}, 2}, timeline);
  ASSERT_EQ(metrics.size(), 3u);
  EXPECT_DOUBLE_EQ(metrics[0].ttft_ms, 8);
  EXPECT_DOUBLE_EQ(*metrics[0].tpot_mean_ms, (33.0 - 10) / 2);
  EXPECT_EQ(metrics[0].generated, 3);
  EXPECT_EQ(metrics[0].end, RequestEnd::length);
  EXPECT_DOUBLE_EQ(metrics[1].ttft_ms, 28);
  EXPECT_DOUBLE_EQ(*metrics[1].tpot_mean_ms, 3);
  EXPECT_EQ(metrics[1].slot, SlotId(2));
  EXPECT_EQ(metrics[1].asked, (RequestShape{70, 9}));
  EXPECT_EQ(metrics[1].end, RequestEnd::unfinished);
  EXPECT_FALSE(metrics[2].slot.valid()) << "it never started";
}

TEST(RequestMetrics, one_token_has_no_tpot_and_an_end_token_is_told_from_the_length) {
  Timeline timeline;
  timeline.steps = {step(0, 4 * kMs, {0}), step(4 * kMs, 6 * kMs, {1})};
  timeline.steps[0].outcomes = {{OutcomeKind::end_of_sequence, RequestId(0), -1, 1, 1}};
  timeline.steps[1].outcomes = {{OutcomeKind::end_of_sequence, RequestId(1), -1, 1, 0}};
  const auto metrics = request_metrics({{{5, 3}, {5, 1}}, 2, true}, timeline);
  EXPECT_FALSE(metrics[0].tpot_mean_ms);
  EXPECT_EQ(metrics[0].end, RequestEnd::end_of_sequence);
  EXPECT_EQ(metrics[1].end, RequestEnd::length);
}

}  // namespace
}  // namespace hybridgen
