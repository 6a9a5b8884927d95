// How a thread group shares attention over the KV heads of one request: all heads' rows behind each other,
// cut into equal lengths. Three heads on two threads are one and a half each; a head that is cut is joined
// afterwards from its parts' log-sum-exps.
#pragma once

#include <algorithm>
#include <cstdint>

namespace hybridgen {

// Rows [begin, end) of one KV head.
struct HeadShare {
  int head = 0;
  std::int64_t begin = 0;
  std::int64_t end = 0;
};

class HeadShares {
 public:
  // heads, threads >= 1; rows of every head, may be 0: then whole heads are shared out.
  HeadShares(int heads, std::int64_t rows, int threads) : heads_(heads), rows_(rows), threads_(threads) {}

  // A cut moves by up to half of this, so that kernels start at a whole tile.
  static constexpr std::int64_t kGrain = 16;
  // A thread has at most this many heads that it shares with others: its first and its last.
  static constexpr int kMostParts = 2;

  // Calls work(share) for each share of a thread, in order of heads.
  template <class F>
  void of(int thread, F&& work) const {
    const std::int64_t length = std::max<std::int64_t>(rows_, 1);
    const std::int64_t stop = cut(thread + 1);
    for (std::int64_t at = cut(thread); at < stop;) {
      const std::int64_t head = at / length;
      const std::int64_t next = std::min(stop, (head + 1) * length);
      work(HeadShare{static_cast<int>(head), std::min(at - head * length, rows_),
                     std::min(next - head * length, rows_)});
      at = next;
    }
  }
  bool whole(const HeadShare& share) const { return share.end - share.begin == rows_; }

 private:
  std::int64_t cut(int thread) const {
    const std::int64_t length = std::max<std::int64_t>(rows_, 1);
    const std::int64_t at = length * heads_ * thread / threads_;
    const std::int64_t row = (at % length + kGrain / 2) / kGrain * kGrain;
    return at - at % length + std::min(row, length);
  }

  int heads_;
  std::int64_t rows_;
  int threads_;
};

}  // namespace hybridgen
