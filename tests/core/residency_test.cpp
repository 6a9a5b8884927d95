// Residency: counts per extent, capacity at every event, peaks, shortages.
#include "core/residency/residency.hpp"

#include <gtest/gtest.h>

#include "core/base/check.hpp"
#include "core/base/error.hpp"
#include "core/residency/fits.hpp"
#include "tests/support/tiny_machine.hpp"

namespace hybridgen {
namespace {

constexpr Bytes kTokenBytes = 10;

class ResidencyTest : public testing::Test {
 protected:
  test::TinyMachine tiny_{{100, 60, 1000}};  // bytes of hbm, dram, cxl: 10, 6 and 100 tokens
  Residency residency_{tiny_.machine, kTokenBytes, 1, 2};
  const RequestId first_{0};
  const RequestId second_{1};
};

TEST_F(ResidencyTest, append_counts_tokens_and_bytes) {
  residency_.append(first_, KvHalf::k, tiny_.hbm, 3);
  residency_.append(second_, KvHalf::v, tiny_.hbm, 2);
  EXPECT_EQ(residency_.rows(first_, KvHalf::k, tiny_.hbm), 3);
  EXPECT_EQ(residency_.rows(first_, KvHalf::v, tiny_.hbm), 0);
  EXPECT_EQ(residency_.tokens(second_, KvHalf::v), 2);
  EXPECT_EQ(residency_.used(tiny_.hbm), 50);
}

TEST_F(ResidencyTest, append_up_to_the_capacity_and_no_further) {
  residency_.append(first_, KvHalf::k, tiny_.dram, 6);
  EXPECT_EQ(residency_.used(tiny_.dram), 60);
  EXPECT_THROW(residency_.append(first_, KvHalf::v, tiny_.dram, 1), InternalError);
}

TEST_F(ResidencyTest, withheld_memory_is_neither_free_nor_used) {
  EXPECT_FALSE(residency_.withhold(tiny_.dram, 25));
  EXPECT_EQ(residency_.used(tiny_.dram), 0);
  EXPECT_EQ(residency_.peak(tiny_.dram), 0);
  EXPECT_TRUE(residency_.prepare(tiny_.dram, 4));
  EXPECT_FALSE(residency_.prepare(tiny_.dram, 3));
  const auto shortage = residency_.withhold(tiny_.dram, 36);
  ASSERT_TRUE(shortage);
  EXPECT_EQ(shortage->free, 35);
  residency_.append(first_, KvHalf::k, tiny_.dram, 3);
  EXPECT_THROW(residency_.append(first_, KvHalf::v, tiny_.dram, 1), InternalError);
}

TEST_F(ResidencyTest, release_gives_room_back_and_no_more_than_there_is) {
  residency_.append(first_, KvHalf::k, tiny_.hbm, 5);
  residency_.release(first_, KvHalf::k, tiny_.hbm, 2);
  EXPECT_EQ(residency_.rows(first_, KvHalf::k, tiny_.hbm), 3);
  EXPECT_EQ(residency_.used(tiny_.hbm), 30);
  EXPECT_EQ(residency_.peak(tiny_.hbm), 50);
  EXPECT_THROW(residency_.release(first_, KvHalf::k, tiny_.hbm, 4), InternalError);
}

TEST_F(ResidencyTest, trim_gives_room_back_of_tokens_that_stay) {
  residency_.append(first_, KvHalf::k, tiny_.hbm, 5);
  residency_.append(second_, KvHalf::k, tiny_.hbm, 1);
  residency_.trim(first_, KvHalf::k, tiny_.hbm, 1);
  residency_.trim(first_, KvHalf::k, tiny_.hbm, 1);
  EXPECT_EQ(residency_.rows(first_, KvHalf::k, tiny_.hbm), 5);
  EXPECT_EQ(residency_.used(tiny_.hbm), 40);
  EXPECT_EQ(residency_.peak(tiny_.hbm), 60);
  EXPECT_THROW(residency_.trim(first_, KvHalf::k, tiny_.hbm, 4), InternalError);
  residency_.drop(first_);
  EXPECT_EQ(residency_.used(tiny_.hbm), 10);
  residency_.append(first_, KvHalf::k, tiny_.hbm, 5);  // whole again
  EXPECT_EQ(residency_.used(tiny_.hbm), 60);
}

TEST_F(ResidencyTest, move_takes_from_one_tier_and_gives_to_the_other) {
  residency_.append(first_, KvHalf::k, tiny_.hbm, 5);
  residency_.move(first_, KvHalf::k, tiny_.hbm, tiny_.dram, 2);
  EXPECT_EQ(residency_.rows(first_, KvHalf::k, tiny_.hbm), 3);
  EXPECT_EQ(residency_.rows(first_, KvHalf::k, tiny_.dram), 2);
  EXPECT_EQ(residency_.tokens(first_, KvHalf::k), 5);
  EXPECT_EQ(residency_.used(tiny_.hbm), 30);
  EXPECT_EQ(residency_.used(tiny_.dram), 20);
}

TEST_F(ResidencyTest, move_of_tokens_that_are_not_there_is_our_bug) {
  residency_.append(first_, KvHalf::k, tiny_.hbm, 5);
  EXPECT_THROW(residency_.move(first_, KvHalf::k, tiny_.hbm, tiny_.dram, 6), InternalError);
  EXPECT_THROW(residency_.move(first_, KvHalf::v, tiny_.hbm, tiny_.dram, 1), InternalError);
  EXPECT_EQ(residency_.rows(first_, KvHalf::k, tiny_.hbm), 5);
}

TEST_F(ResidencyTest, token_is_a_row_of_every_layer_in_whichever_tiers) {
  Residency three_layers(tiny_.machine, kTokenBytes, 3, 1);
  three_layers.append(first_, KvHalf::k, tiny_.dram, 2 * 2);
  three_layers.append(first_, KvHalf::k, tiny_.cxl, 2);
  EXPECT_EQ(three_layers.tokens(first_, KvHalf::k), 2);
  EXPECT_EQ(three_layers.used(tiny_.dram), 4 * kTokenBytes);
  three_layers.append(first_, KvHalf::k, tiny_.cxl, 1);
  EXPECT_THROW(three_layers.tokens(first_, KvHalf::k), InternalError) << "one layer's row of a token alone";
}

TEST_F(ResidencyTest, move_into_a_full_tier_is_our_bug) {
  residency_.append(first_, KvHalf::k, tiny_.hbm, 7);
  EXPECT_THROW(residency_.move(first_, KvHalf::k, tiny_.hbm, tiny_.dram, 7), InternalError);
}

TEST_F(ResidencyTest, event_on_a_tier_that_does_not_exist_is_our_bug) {
  residency_.append(first_, KvHalf::v, tiny_.cxl, 5);
  EXPECT_THROW(residency_.append(second_, KvHalf::k, TierId(), 1), InternalError);
  EXPECT_THROW(residency_.move(second_, KvHalf::k, TierId(), tiny_.dram, 1), InternalError);
  EXPECT_EQ(residency_.rows(first_, KvHalf::v, tiny_.cxl), 5);
}

TEST_F(ResidencyTest, drop_frees_every_tier_of_one_request) {
  residency_.append(first_, KvHalf::k, tiny_.hbm, 3);
  residency_.append(first_, KvHalf::v, tiny_.cxl, 4);
  residency_.append(second_, KvHalf::k, tiny_.hbm, 2);
  residency_.drop(first_);
  EXPECT_EQ(residency_.tokens(first_, KvHalf::k) + residency_.tokens(first_, KvHalf::v), 0);
  EXPECT_EQ(residency_.used(tiny_.hbm), 20);
  EXPECT_EQ(residency_.used(tiny_.cxl), 0);
  EXPECT_EQ(residency_.tokens(second_, KvHalf::k), 2);
}

TEST_F(ResidencyTest, peak_remembers_the_most_that_was_used) {
  residency_.append(first_, KvHalf::k, tiny_.hbm, 7);
  residency_.drop(first_);
  residency_.append(first_, KvHalf::k, tiny_.hbm, 2);
  EXPECT_EQ(residency_.used(tiny_.hbm), 20);
  EXPECT_EQ(residency_.peak(tiny_.hbm), 70);
}

TEST_F(ResidencyTest, reserve_leaves_less_for_tokens) {
  EXPECT_EQ(residency_.reserve(tiny_.dram, 45), std::nullopt);
  EXPECT_EQ(residency_.prepare(tiny_.dram, 1), std::nullopt);
  const auto shortage = residency_.prepare(tiny_.dram, 2);
  ASSERT_TRUE(shortage);
  EXPECT_EQ(shortage->tier, tiny_.dram);
  EXPECT_EQ(shortage->wanted, 20);
  EXPECT_EQ(shortage->free, 15);
}

TEST_F(ResidencyTest, prepare_changes_nothing) {
  residency_.append(first_, KvHalf::k, tiny_.hbm, 1);
  EXPECT_EQ(residency_.prepare(tiny_.hbm, 9), std::nullopt);
  EXPECT_TRUE(residency_.prepare(tiny_.hbm, 10));
  EXPECT_EQ(residency_.used(tiny_.hbm), 10);
  EXPECT_EQ(residency_.peak(tiny_.hbm), 10);
}

TEST_F(ResidencyTest, reserve_that_does_not_fit_reserves_nothing) {
  const auto shortage = residency_.reserve(tiny_.dram, 61);
  ASSERT_TRUE(shortage);
  EXPECT_EQ(shortage->wanted, 61);
  EXPECT_EQ(shortage->free, 60);
  EXPECT_EQ(residency_.used(tiny_.dram), 0);
}

// 10 pages alternate between dram and cxl: five each, beside what lies there anyway.
TEST(Fits, interleaved_bytes_count_in_the_tiers_below) {
  test::TinyMachine tiny(test::TinyCapacities{1 << 20, 6 * 4096, 5 * 4096});
  const TierId both = tiny.machine.add_tier("both", TierKind::interleaved, 1 << 20, tiny.dram_channel);
  tiny.machine.set_interleaved(both, {tiny.dram, tiny.cxl});
  MemoryPlan plan;
  plan.reservations = {{both, Purpose::host_k, 9 * 4096 + 1}, {tiny.dram, Purpose::exchange, 4096}};
  EXPECT_EQ(bytes_in(tiny.machine, plan, tiny.dram), 6 * 4096);
  EXPECT_EQ(bytes_in(tiny.machine, plan, tiny.cxl), 5 * 4096);
  EXPECT_EQ(bytes_in(tiny.machine, plan, both), 9 * 4096 + 1);
  EXPECT_NO_THROW(check_fits(tiny.machine, plan));
  plan.reservations[0].bytes += 4096;  // an eleventh page
  try {
    check_fits(tiny.machine, plan);
    FAIL() << "it fits";
  } catch (const DoesNotFit& error) {
    EXPECT_NE(std::string(error.what())
                  .find("cxl: needs 24576 bytes, has 20480 (short by 4096)\n"
                        "    interleaved over it: 24576"),
              std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace hybridgen
