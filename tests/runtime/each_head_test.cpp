// Rows of many heads divided by rows: every row is somebody's, once, and under its own head.
#include "runtime/host/each_head.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace hybridgen {
namespace {

TEST(EachHead, AnyDivision_everyRowOnceUnderItsHead) {
  const std::vector<std::int64_t> counts = {0, 5, 0, 0, 1, 7, 0};  // empty heads first, in a row, and last
  std::vector<std::int64_t> offsets = {0};
  for (const std::int64_t count : counts) offsets.push_back(offsets.back() + count);
  for (std::int64_t share = 1; share <= offsets.back() + 1; ++share) {
    std::vector<std::vector<int>> seen;
    for (const std::int64_t count : counts) seen.emplace_back(count, 0);
    for (std::int64_t begin = 0; begin < offsets.back(); begin += share) {
      each_head(offsets, begin, std::min(begin + share, offsets.back()),
                [&](std::int64_t head, std::int64_t from, std::int64_t count) {
                  ASSERT_GT(count, 0) << "nobody is called for nothing";
                  for (std::int64_t i = from; i < from + count; ++i) {
                    ++seen.at(static_cast<std::size_t>(head)).at(static_cast<std::size_t>(i));
                  }
                });
    }
    for (const auto& head : seen) EXPECT_EQ(head, std::vector<int>(head.size(), 1)) << "shares of " << share;
  }
}

TEST(EachHead, EmptyShare_callsNobody) {
  const std::vector<std::int64_t> offsets = {0, 3, 6};
  for (const std::int64_t at : {0, 3, 6}) {
    each_head(offsets, at, at, [](std::int64_t, std::int64_t, std::int64_t) { FAIL(); });
  }
}

}  // namespace
}  // namespace hybridgen
