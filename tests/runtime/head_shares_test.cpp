#include "runtime/host/head_shares.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace hybridgen::testing {
namespace {

TEST(HeadShares, EveryShape_eachRowOnceInOrderAndEvenly) {
  for (const int heads : {1, 2, 3, 8}) {
    for (const std::int64_t rows : {1, 15, 64, 1000, 7500}) {
      for (const int threads : {1, 2, 3, 5, 16}) {
        const HeadShares shares(heads, rows, threads);
        std::int64_t next = 0;  // of all heads' rows behind each other
        for (int thread = 0; thread < threads; ++thread) {
          std::int64_t mine = 0;
          int parts = 0;
          shares.of(thread, [&](const HeadShare& share) {
            ASSERT_EQ(share.head * rows + share.begin, next);
            ASSERT_LT(share.begin, share.end);
            ASSERT_LE(share.end, rows);
            if (!shares.whole(share)) ++parts;
            ASSERT_EQ(share.begin % HeadShares::kGrain, 0);
            mine += share.end - share.begin;
            next += share.end - share.begin;
          });
          EXPECT_LE(parts, HeadShares::kMostParts);
          EXPECT_LE(mine, heads * rows / threads + 1 + HeadShares::kGrain)
              << heads << " heads, " << rows << " rows, thread " << thread << " of " << threads;
        }
        EXPECT_EQ(next, heads * rows);
      }
    }
  }
}

TEST(HeadShares, ThreeHeadsTwoThreads_oneAndAHalfEach) {
  const HeadShares shares(3, 4096, 2);
  std::vector<HeadShare> first;
  shares.of(0, [&](const HeadShare& share) { first.push_back(share); });
  ASSERT_EQ(first.size(), 2u);
  EXPECT_EQ(first[0].end, 4096);
  EXPECT_EQ(first[1].head, 1);
  EXPECT_EQ(first[1].end, 2048);
}

// A joint attention whose device segment is empty has the host's rows all the same.
TEST(HeadShares, NoRows_everyHeadOnceAndWhole) {
  const HeadShares shares(3, 0, 2);
  std::vector<int> heads;
  for (int thread = 0; thread < 2; ++thread) {
    shares.of(thread, [&](const HeadShare& share) {
      EXPECT_TRUE(shares.whole(share));
      EXPECT_EQ(share.begin, 0);
      heads.push_back(share.head);
    });
  }
  EXPECT_EQ(heads, (std::vector{0, 1, 2}));
}

}  // namespace
}  // namespace hybridgen::testing
