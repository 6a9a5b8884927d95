// The host pool's slots: who leaves, and which slot is taken next.
#include "runtime/host/partial_keys.hpp"

#include <gtest/gtest.h>

#include "core/base/check.hpp"

namespace hybridgen {
namespace {

std::vector<std::int32_t> positions(const PoolHead& pool, Tokens slots) {
  std::vector<std::int32_t> all;
  for (Tokens slot = 0; slot < slots; ++slot) all.push_back(pool.position(slot));
  return all;
}

// Five rows of a prompt in five slots; row 3 was never read, row 0 long ago, row 1 often.
PoolHead read_pool() {
  PoolHead pool(5);
  for (Tokens p = 0; p < 5; ++p) EXPECT_EQ(pool.insert(p, 0, PoolEviction::counter), p);
  for (const Tokens at : {5, 6, 6}) pool.read(1, at);
  pool.read(0, 5);
  pool.read(0, 5);
  pool.read(2, 6);
  pool.read(4, 6);
  return pool;
}

TEST(PoolHead, NewRowOnAFullPool_takesTheVictimsSlot) {
  for (const auto& [evict, victim] :
       {std::pair(PoolEviction::fifo, 0), {PoolEviction::lru, 0}, {PoolEviction::counter, 2}}) {
    PoolHead pool = read_pool();
    // Positions 0 to 2 are the older half of 6: row 3 may not leave, though nobody has read it.
    EXPECT_EQ(pool.insert(6, 5, evict), victim);
    std::vector<std::int32_t> expected = {0, 1, 2, 3, 4};
    expected[static_cast<std::size_t>(victim)] = 6;
    EXPECT_EQ(positions(pool, 5), expected);
    EXPECT_EQ(pool.rows(), 5);
  }
}

TEST(PoolHead, NobodyInTheOlderHalf_anyRowMayLeave) {
  PoolHead pool = read_pool();
  EXPECT_EQ(pool.insert(6, 2, PoolEviction::counter), 3) << "2, 0 and 1 of the older half, then 3";
  EXPECT_EQ(positions(pool, 5), (std::vector<std::int32_t>{-1, -1, -1, 6, 4}));
  EXPECT_EQ(pool.rows(), 2);
}

TEST(PoolHead, SlotGivenUp_forgetsItsReads) {
  PoolHead pool = read_pool();
  EXPECT_EQ(pool.insert(6, 5, PoolEviction::counter), 2);
  pool.clear();
  EXPECT_EQ(pool.rows(), 0);
  for (Tokens p = 0; p < 5; ++p) EXPECT_EQ(pool.insert(p, 0, PoolEviction::lru), p);
  EXPECT_EQ(pool.insert(20, 5, PoolEviction::lru), 0) << "all were never read: the oldest leaves";
  EXPECT_THROW(pool.insert(21, 0, PoolEviction::lru), InternalError);
}

}  // namespace
}  // namespace hybridgen
