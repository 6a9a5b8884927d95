// Estimator: new = old + (seen - old) / 8 in integers, the first sight taken whole.
#include <gtest/gtest.h>

#include "core/policy/estimator.hpp"

namespace hybridgen {
namespace {

TEST(Estimator, knows_nothing_at_first) {
  const Estimator estimator;
  EXPECT_EQ(estimator.seen(OpKind::ffn), 0);
  EXPECT_EQ(estimator.op_ns(OpKind::ffn), 0);
  EXPECT_EQ(estimator.ps_per_byte(OpKind::ffn), 0);
}

TEST(Estimator, first_report_is_taken_whole) {
  Estimator estimator;
  estimator.learn(OpKind::load_kv, 800, 1600);
  EXPECT_EQ(estimator.op_ns(OpKind::load_kv), 800);
  EXPECT_EQ(estimator.ps_per_byte(OpKind::load_kv), 500);
  EXPECT_EQ(estimator.seen(OpKind::load_kv), 1);
}

TEST(Estimator, later_reports_weigh_one_eighth) {
  Estimator estimator;
  estimator.learn(OpKind::load_kv, 800, 1600);
  estimator.learn(OpKind::load_kv, 1600, 1600);
  EXPECT_EQ(estimator.op_ns(OpKind::load_kv), 900);
  EXPECT_EQ(estimator.ps_per_byte(OpKind::load_kv), 500 + 500 / 8);
}

TEST(Estimator, kinds_do_not_mix) {
  Estimator estimator;
  estimator.learn(OpKind::load_kv, 800, 1600);
  EXPECT_EQ(estimator.seen(OpKind::offload_kv), 0);
}

TEST(Estimator, report_without_bytes_teaches_no_rate) {
  Estimator estimator;
  estimator.learn(OpKind::select, 800, 0);
  EXPECT_EQ(estimator.ps_per_byte(OpKind::select), 0);
  estimator.learn(OpKind::select, 800, 1600);
  EXPECT_EQ(estimator.ps_per_byte(OpKind::select), 500) << "the first rate is taken whole, too";
}

}  // namespace
}  // namespace hybridgen
