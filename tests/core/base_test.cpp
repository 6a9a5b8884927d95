// Ids, Amount, InlineVec, Hash64.
#include <gtest/gtest.h>

#include <type_traits>
#include <unordered_set>

#include "core/base/hash.hpp"
#include "core/base/ids.hpp"
#include "core/base/inline_vec.hpp"
#include "core/step/amount.hpp"

namespace hybridgen {
namespace {

TEST(Id, default_is_invalid) {
  EXPECT_FALSE(TierId().valid());
  EXPECT_TRUE(TierId(0).valid());
  EXPECT_EQ(TierId(3).index(), 3u);
}

TEST(Id, of_two_tags_do_not_convert) {
  EXPECT_FALSE((std::is_convertible_v<TierId, LaneId>));
  EXPECT_FALSE((std::is_constructible_v<TierId, LaneId>));
  EXPECT_FALSE((std::is_convertible_v<int, TierId>));
}

TEST(Id, orders_and_hashes_by_value) {
  EXPECT_LT(OpId(1), OpId(2));
  EXPECT_EQ((std::unordered_set<OpId>{OpId(1), OpId(1), OpId(2)}.size()), 2u);
}

TEST(Amount, fixed_resolves_without_outcomes) {
  EXPECT_TRUE(Amount::fixed(7).known());
  EXPECT_EQ(Amount::fixed(7).resolve({}), 7);
}

TEST(Amount, per_count_resolves_to_base_plus_factor_times_count) {
  const Amount amount{100, 3, OutcomeId(1)};
  const std::int64_t counts[] = {-1, 5};
  EXPECT_FALSE(amount.known());
  EXPECT_EQ(amount.resolve(counts), 115);
  EXPECT_EQ(Amount::per(OutcomeId(1), 4).resolve(counts), 20);
}

TEST(Amount, of_an_unknown_count_is_our_bug) {
  const std::int64_t counts[] = {-1};
  EXPECT_THROW(Amount::per(OutcomeId(0), 4).resolve(counts), InternalError);
}

TEST(InlineVec, keeps_order_up_to_its_capacity) {
  InlineVec<int, 3> items;
  EXPECT_TRUE(items.empty());
  for (const int i : {4, 5, 6}) items.push_back(i);
  EXPECT_EQ(std::vector<int>(items.begin(), items.end()), (std::vector{4, 5, 6}));
  EXPECT_EQ(items[1], 5);
  EXPECT_THROW(items.push_back(7), InternalError);
  EXPECT_EQ(items.size(), 3u);
}

TEST(Hash64, is_fnv1a_of_little_endian_bytes) {
  // FNV-1a of no bytes is the offset basis; of eight zero bytes, basis x prime^8.
  EXPECT_EQ(Hash64().value(), 0xcbf29ce484222325ULL);
  Hash64 zero;
  zero.add(0);
  std::uint64_t expected = 0xcbf29ce484222325ULL;
  for (int i = 0; i < 8; ++i) expected *= 0x100000001b3ULL;
  EXPECT_EQ(zero.value(), expected);
  EXPECT_EQ(Hash64().hex(), "cbf29ce484222325");
}

TEST(Hash64, tells_order_and_text_borders_apart) {
  Hash64 ab, ba, joined, split;
  ab.add(1), ab.add(2);
  ba.add(2), ba.add(1);
  EXPECT_NE(ab.value(), ba.value());
  joined.add("ab"), joined.add("c");
  split.add("a"), split.add("bc");
  EXPECT_NE(joined.value(), split.value());
}

}  // namespace
}  // namespace hybridgen
