// RunMetrics: TTFT, TPOT and bytes from a timeline alone.
#include "core/driver/run_metrics.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hybridgen {
namespace {

using ::testing::DoubleEq;
using ::testing::ElementsAre;

constexpr TimeNs kMs = 1'000'000;

// A step over requests 0 .. requests - 1; a prefill when it starts at position 0.
StepEvent step(TimeNs start, TimeNs end, Tokens first_position, int requests, std::vector<Bytes> bytes = {}) {
  StepEvent event;
  event.start = start;
  event.end = end;
  for (int i = 0; i < requests; ++i) {
    RequestDecision row;
    row.request = RequestId(i);
    row.first_position = first_position;
    row.query_tokens = first_position == 0 ? 5 : 1;
    event.decision.rows.push_back(row);
  }
  event.channel_bytes = std::move(bytes);
  return event;
}

TEST(RunMetrics, of_nothing_are_zero) {
  const RunMetrics metrics = metrics_of({});
  EXPECT_EQ(metrics.ttft_ms, 0);
  EXPECT_EQ(metrics.decode_tokens_per_s, 0);
  EXPECT_TRUE(metrics.tpot_ms.empty());
}

TEST(RunMetrics, tpot_counts_the_gap_between_steps) {
  // Prefill ends at 10 ms; steps end at 13 and 18: 3 ms and 5 ms, though the second worked only 4.
  const RunMetrics metrics = metrics_of(
      {{step(0, 10 * kMs, 0, 1), step(10 * kMs, 13 * kMs, 5, 1), step(14 * kMs, 18 * kMs, 6, 1)}, {}, ""});
  EXPECT_DOUBLE_EQ(metrics.ttft_ms, 10);
  EXPECT_THAT(metrics.tpot_ms, ElementsAre(DoubleEq(3), DoubleEq(5)));
  EXPECT_DOUBLE_EQ(metrics.tpot_mean_ms, 4);
  EXPECT_DOUBLE_EQ(metrics.tpot_p50_ms, 3);
  EXPECT_DOUBLE_EQ(metrics.tpot_p99_ms, 5);
  EXPECT_DOUBLE_EQ(metrics.decode_tokens_per_s, 2 / 8e-3);
}

TEST(RunMetrics, ttft_is_the_mean_over_requests_from_the_start_of_the_run) {
  // The run starts at 2 ms; prefills end 4 and 10 ms later.
  const RunMetrics metrics =
      metrics_of({{step(2 * kMs, 6 * kMs, 0, 1), step(6 * kMs, 12 * kMs, 0, 1)}, {}, ""});
  EXPECT_DOUBLE_EQ(metrics.ttft_ms, 7);
}

TEST(RunMetrics, a_batch_gives_a_token_per_request_and_step) {
  const RunMetrics metrics = metrics_of({{step(0, 1 * kMs, 0, 1), step(1 * kMs, 3 * kMs, 5, 4)}, {}, ""});
  EXPECT_DOUBLE_EQ(metrics.tpot_mean_ms, 2);
  EXPECT_DOUBLE_EQ(metrics.decode_tokens_per_s, 4 / 2e-3);
}

TEST(RunMetrics, channel_bytes_are_summed_over_all_steps) {
  const RunMetrics metrics = metrics_of({{step(0, 1, 0, 1, {10, 1}), step(1, 2, 5, 1, {20, 2})}, {}, ""});
  EXPECT_THAT(metrics.channel_bytes, ElementsAre(30, 3));
}

TEST(Percentile, is_the_nearest_rank) {
  EXPECT_EQ(percentile({}, 50), 0);
  EXPECT_EQ(percentile({7}, 1), 7);
  EXPECT_EQ(percentile({4, 1, 3, 2}, 50), 2);
  EXPECT_EQ(percentile({4, 1, 3, 2}, 51), 3);
  EXPECT_EQ(percentile({4, 1, 3, 2}, 100), 4);
  EXPECT_EQ(percentile({4, 1, 3, 2}, 0), 1);
}

}  // namespace
}  // namespace hybridgen
