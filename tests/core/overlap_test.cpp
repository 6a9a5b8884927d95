// The share of the host's work that lies behind the device's, on a timeline made by hand.
#include "core/driver/overlap.hpp"

#include <gtest/gtest.h>

namespace hybridgen {
namespace {

OpEvent op(OpKind kind, TimeNs start, TimeNs end) {
  OpEvent event;
  event.kind = kind;
  event.start = start;
  event.end = end;
  return event;
}

StepEvent step(Tokens first_position, std::vector<OpEvent> ops) {
  StepEvent event;
  RequestDecision row;
  row.first_position = first_position;
  row.query_tokens = first_position == 0 ? 8 : 1;
  event.decision.rows.push_back(row);
  event.ops = std::move(ops);
  return event;
}

TEST(HostOverlap, HostWorkPartlyBehindTheDevice_countsEachInstantOnce) {
  Timeline timeline;
  timeline.steps.push_back(step(0, {op(OpKind::host_logits, 0, 1000)}));  // a prefill does not count
  timeline.steps.push_back(step(8, {
                                       op(OpKind::host_logits, 10, 40),
                                       op(OpKind::send_rows, 30, 50),  // beside the scan: 10 to 50 in all
                                       op(OpKind::norm_qkv, 0, 15),
                                       op(OpKind::device_logits, 15, 20),
                                       op(OpKind::offload_kv, 20, 45),  // neither side's
                                       op(OpKind::ffn, 45, 90),
                                       op(OpKind::select, 95, 100),
                                   }));
  const HostOverlap overlap = host_overlap(timeline);
  EXPECT_EQ(overlap.host_ns, 40 + 5);
  EXPECT_EQ(overlap.hidden_ns, 10 + 5);
  EXPECT_DOUBLE_EQ(overlap.hidden_share(), 15.0 / 45);
}

TEST(HostOverlap, NoHostWork_nothing) {
  Timeline timeline;
  timeline.steps.push_back(step(8, {op(OpKind::attend, 0, 10)}));
  EXPECT_EQ(host_overlap(timeline).host_ns, 0);
  EXPECT_EQ(host_overlap(timeline).hidden_share(), 0);
}

}  // namespace
}  // namespace hybridgen
