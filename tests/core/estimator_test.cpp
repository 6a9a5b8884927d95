// Estimator: new = old + (seen - old) / 8 in integers, the first sight taken whole.
#include <gtest/gtest.h>

#include "core/policy/estimator.hpp"

namespace hybridgen {
namespace {

TEST(Estimator, knows_nothing_at_first) {
  const Estimator estimator;
  EXPECT_EQ(estimator.seen(OpKind::ffn), 0);
  EXPECT_EQ(estimator.op_ns(OpKind::ffn), 0);
  EXPECT_EQ(estimator.fs_per_byte(OpKind::ffn), 0);
  EXPECT_EQ(estimator.selected_ppm(), kPpmOne);
}

TEST(Estimator, first_report_is_taken_whole) {
  Estimator estimator;
  estimator.learn(OpKind::load_kv, 800, 1600);
  EXPECT_EQ(estimator.op_ns(OpKind::load_kv), 800);
  EXPECT_EQ(estimator.fs_per_byte(OpKind::load_kv), 500'000);
  EXPECT_EQ(estimator.seen(OpKind::load_kv), 1);
}

TEST(Estimator, later_reports_weigh_one_eighth) {
  Estimator estimator;
  estimator.learn(OpKind::load_kv, 800, 1600);
  estimator.learn(OpKind::load_kv, 1600, 1600);
  EXPECT_EQ(estimator.op_ns(OpKind::load_kv), 900);
  EXPECT_EQ(estimator.fs_per_byte(OpKind::load_kv), 500'000 + 500'000 / 8);
}

TEST(Estimator, kinds_do_not_mix) {
  Estimator estimator;
  estimator.learn(OpKind::load_kv, 800, 1600);
  EXPECT_EQ(estimator.seen(OpKind::offload_kv), 0);
}

TEST(Estimator, report_without_bytes_teaches_no_rate) {
  Estimator estimator;
  estimator.learn(OpKind::select, 800, 0);
  EXPECT_EQ(estimator.fs_per_byte(OpKind::select), 0);
  estimator.learn(OpKind::select, 800, 1600);
  EXPECT_EQ(estimator.fs_per_byte(OpKind::select), 500'000) << "the first rate is taken whole, too";
}

// A byte of memory takes a few picoseconds: an average that is kept in these never gets there.
TEST(Estimator, rates_of_memory_are_learned_to_a_thousandth) {
  for (const TimeNs first : {3'000, 8'000}) {
    Estimator estimator;
    estimator.learn(OpKind::host_logits, first, 1'000'000);
    for (int i = 0; i < 100; ++i) estimator.learn(OpKind::host_logits, 4'780, 1'000'000);
    EXPECT_NEAR(static_cast<double>(estimator.fs_per_byte(OpKind::host_logits)), 4'780, 8) << first;
  }
}

TEST(Estimator, share_of_the_rows_that_go_up_is_an_average_of_the_outcomes) {
  Estimator estimator;
  estimator.learn_selected(0, 0);
  EXPECT_EQ(estimator.selected_ppm(), kPpmOne) << "nothing was to be selected";
  estimator.learn_selected(40, 100);
  EXPECT_EQ(estimator.selected_ppm(), 400'000);
  estimator.learn_selected(80, 100);
  EXPECT_EQ(estimator.selected_ppm(), 450'000);
}

}  // namespace
}  // namespace hybridgen
