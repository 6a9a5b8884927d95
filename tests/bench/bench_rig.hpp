// How a kernel is timed: short samples on one pinned core, each between two plain reads of as many bytes and
// beside a run of multiply-adds, over memory that was not touched for at least an arena's length. A sample in
// which the operating system took the core away is thrown away. Figures are medians; the share of the
// roofline is the median of the samples' own shares, so that a neighbour who slows the memory slows both
// sides.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "runtime/host/tier_memory.hpp"

namespace hybridgen::kernels {

struct Work {
  std::int64_t bytes = 0;  // of memory that one call reads, a multiple of 256
  std::int64_t fmas = 0;   // multiply-adds that one call does; 0: the memory alone bounds it
  // One call over fresh bytes of the arena; `window` of them, or `bytes` where that is 0. `thread` is 0 or 1:
  // results go to buffers of its own.
  std::function<void(const std::byte* data, int thread)> call;
  std::int64_t window = 0;
};

struct Speed {
  double rate = 0;    // bytes per second, median
  double spread = 0;  // (90th - 10th percentile) / median of the share
  double read = 0;    // bytes per second of the plain read, median
  double roof = 0;    // bytes per second: the lower of the read and the multiply-adds
  double share = 0;   // of the roof, median
  int samples = 0;    // kept
  int dropped = 0;    // because the core was taken away
};

class BenchRig {
 public:
  BenchRig();

  Speed one_core(const Work& work);
  // Both cores at once, each on its own half of the arena; the roof is what both read, or both multiply.
  // share 0 on a machine of one core.
  Speed two_cores(const Work& work);

  // Median of the ratios of two works' times, measured in turn on the same memory: a over b.
  double ratio(const Work& a, const Work& b, double& spread);

  std::byte* arena() { return arena_; }          // kArenaBytes of fp16 values in [-1, 1]
  double fma_rate() const { return fma_rate_; }  // of one core, as last measured
  static constexpr std::int64_t kArenaBytes = std::int64_t{1} << 30;

 private:
  const std::byte* fresh(std::int64_t bytes, int thread);
  double peak_rate();

  TierMemory memory_{"arena"};
  std::byte* arena_;
  std::int64_t next_[2] = {0, kArenaBytes / 2};
  bool halves_ = false;
  double fma_rate_ = 0;
};

}  // namespace hybridgen::kernels
