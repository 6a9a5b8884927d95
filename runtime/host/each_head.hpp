// Dividing rows that lie behind each other, head after head, by rows: a thread's share begins and ends within
// heads.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

namespace hybridgen {

// work(head, from, count) for every head that has rows in [begin, end): its rows from + [0, count). Head h
// has the rows [offsets[h], offsets[h + 1]).
template <typename PartOfHead>
void each_head(std::span<const std::int64_t> offsets, std::int64_t begin, std::int64_t end,
               const PartOfHead& work) {
  auto next = std::upper_bound(offsets.begin(), offsets.end(), begin);
  for (; begin < end; ++next) {
    const std::int64_t last = std::min(end, *next), first_of_head = *(next - 1);
    if (last > begin) work(next - 1 - offsets.begin(), begin - first_of_head, last - begin);
    begin = last;
  }
}

}  // namespace hybridgen
