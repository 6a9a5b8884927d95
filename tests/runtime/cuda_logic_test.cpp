// The logic that CUDA kernels share with the CPU, compiled by the C++ compiler and held against fp64: slots
// of rings and pages, split-K, softmax in pieces, the joint softmax, tf32 pairs.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <set>
#include <vector>

#include "runtime/cuda/logic/joint_rows.hpp"
#include "runtime/cuda/logic/online_softmax.hpp"
#include "runtime/cuda/logic/slots.hpp"
#include "runtime/cuda/logic/small_ops.hpp"
#include "runtime/cuda/logic/split.hpp"
#include "runtime/cuda/logic/tf32.hpp"
#include "runtime/host/request_buffers.hpp"
#include "runtime/kernels/elementwise.hpp"
#include "runtime/kernels/half.hpp"
#include "runtime/kernels/rope.hpp"

namespace hybridgen::cuda {
namespace {

TEST(CudaSlots, NewestTokens_everyContextAndCount_agreesWithTheHostsRuns) {
  for (const std::int64_t slots : {1, 2, 7, 16}) {
    for (std::int64_t context = 0; context < 3 * slots; ++context) {
      for (std::int64_t count = 0; count <= std::min(context, slots); ++count) {
        const RingRange range = newest_tokens(context, count, slots);
        std::int64_t row = 0;
        for (const SlotRun& run : ring_runs(context - count, count, slots)) {
          for (Tokens i = 0; i < run.count; ++i, ++row) EXPECT_EQ(range.slot(row), run.slot + i);
        }
        EXPECT_EQ(row, count);
      }
    }
  }
}

// The first tokens are rows 0, 1, ... wherever the newest ones begin.
TEST(CudaSlots, NewestTokens_withSinks_agreeWithTheHostsSegment) {
  constexpr std::int64_t kSlots = 9, kSinks = 3;
  for (std::int64_t context = kSlots; context < 4 * kSlots; ++context) {
    const RingRange range = newest_tokens(context, kSlots, kSlots, kSinks);
    for (std::int64_t i = 0; i < kSlots; ++i) {
      const std::int64_t position = i < kSinks ? i : context - kSlots + i;
      EXPECT_EQ(range.slot(i), hybridgen::segment_slot(position, kSlots, kSinks)) << context << " row " << i;
      EXPECT_EQ(segment_slot(position, kSlots, kSinks), hybridgen::segment_slot(position, kSlots, kSinks));
    }
  }
}

TEST(CudaJointRows, HeadsOfAGroup_shareRowsAndHaveTheirOwnScores) {
  const std::vector<std::int32_t> offsets = {0, 5, 10, 15, 17, 19, 21};  // two groups of three heads
  const PackedOffsets packed{offsets.data(), 3};
  for (int head = 0; head < 6; ++head) {
    const PackedRows rows = packed.of(head);
    EXPECT_EQ(rows.first_score, offsets[static_cast<std::size_t>(head)]);
    EXPECT_EQ(rows.first_row, head < 3 ? 0 : 5);
    EXPECT_EQ(rows.count, head < 3 ? 5 : 2);
  }
}

TEST(CudaSlots, NewestTokens_ringFull_lastRowIsTheNewestToken) {
  const RingRange range = newest_tokens(103, 10, 10);
  EXPECT_EQ(range.slot(9), 102 % 10);
  EXPECT_EQ(range.slot(0), 93 % 10);
}

TEST(CudaSlots, PagedRange_shuffledPages_findsEachToken) {
  const std::vector<std::int32_t> pages = {4, 0, 3, 1};
  const PagedRange range{pages.data(), 16, 5, 50};
  for (std::int64_t i = 0; i < range.count; ++i) {
    const std::int64_t position = 5 + i;
    EXPECT_EQ(range.slot(i), pages[static_cast<std::size_t>(position / 16)] * 16 + position % 16);
  }
}

TEST(CudaSlots, CausalRows_queriesOfAChunk_eachSeesUpToItself) {
  EXPECT_EQ(causal_rows(0, 100, 0), 1);
  EXPECT_EQ(causal_rows(0, 100, 99), 100);
  EXPECT_EQ(causal_rows(40, 60, 99), 60);
  EXPECT_EQ(causal_rows(40, 60, 40), 1);
  EXPECT_EQ(causal_rows(40, 60, 12), 0);
}

TEST(CudaSplit, SplitRange_anyShape_coversEachRowOnce) {
  for (const std::int64_t count : {0, 1, 31, 32, 33, 1000, 131072}) {
    for (const int splits : {1, 2, 7, 64}) {
      std::int64_t next = 0;
      for (int split = 0; split < splits; ++split) {
        const RowRange range = split_range(count, splits, split, 32);
        EXPECT_EQ(range.begin, next);
        EXPECT_LE(range.begin, range.end);
        next = range.end;
      }
      EXPECT_EQ(next, count);
    }
  }
}

TEST(CudaSplit, SplitRange_manyRows_sharesDifferByAGrain) {
  std::int64_t least = 1 << 30;
  std::int64_t most = 0;
  for (int split = 0; split < 60; ++split) {
    const RowRange range = split_range(100'000, 60, split, 32);
    least = std::min(least, range.end - range.begin);
    most = std::max(most, range.end - range.begin);
  }
  EXPECT_LE(most - least, 32 + 31);  // the last share may lack up to 31 rows of its grain
}

TEST(CudaSplit, SplitCount_smallStore_noBlockWithoutAGrain) {
  EXPECT_EQ(split_count(1024, 64, 8, 264), 16);
  EXPECT_EQ(split_count(131072, 64, 8, 264), 33);
  EXPECT_EQ(split_count(0, 64, 8, 264), 1);
}

// Attention as a block computes it: rows dealt to workers in turn, each with a piece and a weighted sum of
// its own, joined at the end; and the same once more over splits.
struct Partial {
  SoftmaxPiece piece;
  std::vector<float> sum;
};

Partial attend_piece(const std::vector<float>& logits, const std::vector<std::vector<float>>& values,
                     std::int64_t begin, std::int64_t end, std::int64_t step) {
  Partial partial{{}, std::vector<float>(values.front().size())};
  for (std::int64_t n = begin; n < end; n += step) {
    const auto row = static_cast<std::size_t>(n);
    const float factor = raise_max(partial.piece, logits[row]);
    const float weight = add_row(partial.piece, logits[row]);
    for (std::size_t d = 0; d < partial.sum.size(); ++d) {
      partial.sum[d] = partial.sum[d] * factor + weight * values[row][d];
    }
  }
  return partial;
}

std::vector<float> join(const std::vector<Partial>& partials) {
  SoftmaxPiece whole;
  for (const Partial& partial : partials) whole = merged(whole, partial.piece);
  std::vector<float> out(partials.front().sum.size());
  for (const Partial& partial : partials) {
    for (std::size_t d = 0; d < out.size(); ++d) out[d] += partial.sum[d] * share_of(partial.piece, whole);
  }
  return out;
}

std::vector<double> attend_fp64(const std::vector<float>& logits,
                                const std::vector<std::vector<float>>& values) {
  const double max = *std::max_element(logits.begin(), logits.end());
  std::vector<double> out(values.front().size());
  double sum = 0;
  for (std::size_t n = 0; n < logits.size(); ++n) {
    const double weight = std::exp(logits[n] - max);
    sum += weight;
    for (std::size_t d = 0; d < out.size(); ++d) out[d] += weight * values[n][d];
  }
  for (double& x : out) x /= sum;
  return out;
}

class CudaSoftmax : public testing::Test {
 protected:
  void fill(std::size_t rows, float spread) {
    std::normal_distribution<float> normal;
    logits_.resize(rows);
    values_.assign(rows, std::vector<float>(8));
    for (float& logit : logits_) logit = spread * normal(random_);
    for (auto& value : values_) std::generate(value.begin(), value.end(), [&] { return normal(random_); });
  }

  std::mt19937 random_{17};
  std::vector<float> logits_;
  std::vector<std::vector<float>> values_;
};

TEST_F(CudaSoftmax, Pieces_anySplitAndWorkers_equalFp64) {
  for (const std::size_t rows : {1UL, 3UL, 33UL, 1000UL, 20000UL}) {
    for (const float spread : {0.1F, 3.0F, 60.0F}) {
      fill(rows, spread);
      const std::vector<double> expected = attend_fp64(logits_, values_);
      std::vector<Partial> partials;
      for (int split = 0; split < 7; ++split) {
        const RowRange range = split_range(static_cast<std::int64_t>(rows), 7, split, 32);
        for (int worker = 0; worker < 5; ++worker)
          partials.push_back(attend_piece(logits_, values_, range.begin + worker, range.end, 5));
      }
      std::shuffle(partials.begin(), partials.end(), random_);  // blocks end in any order
      const std::vector<float> out = join(partials);
      for (std::size_t d = 0; d < out.size(); ++d) EXPECT_NEAR(out[d], expected[d], 2e-5) << rows;
    }
  }
}

TEST_F(CudaSoftmax, Pieces_logitsBeyondFloatExp_neitherOverflowNorVanish) {
  fill(64, 1.0F);
  for (std::size_t n = 0; n < logits_.size(); ++n) logits_[n] += n % 2 ? 300.0F : -300.0F;
  const std::vector<double> expected = attend_fp64(logits_, values_);
  const std::vector<float> out =
      join({attend_piece(logits_, values_, 0, 64, 2), attend_piece(logits_, values_, 1, 64, 2)});
  for (std::size_t d = 0; d < out.size(); ++d) EXPECT_NEAR(out[d], expected[d], 1e-5);
}

TEST_F(CudaSoftmax, Pieces_noRowsAtAll_giveZeroNotNan) {
  fill(1, 1.0F);
  const std::vector<float> out =
      join({attend_piece(logits_, values_, 0, 0, 1), attend_piece(logits_, values_, 1, 1, 1)});
  for (const float x : out) EXPECT_EQ(x, 0.0F);
}

TEST_F(CudaSoftmax, RowThatIsNotThere_amongOthers_countsNothing) {
  fill(3, 1.0F);
  std::vector<float> logits = logits_;
  logits.insert(logits.begin(), kNoLogit);
  std::vector<std::vector<float>> values = values_;
  values.insert(values.begin(), std::vector<float>(8, 1e30F));
  const std::vector<double> expected = attend_fp64(logits_, values_);
  const std::vector<float> out = join({attend_piece(logits, values, 0, 4, 1)});
  for (std::size_t d = 0; d < out.size(); ++d) EXPECT_NEAR(out[d], expected[d], 1e-6);
}

// Two score sets, two homes of V rows, one softmax: per head a different number of host rows, one head none.
TEST_F(CudaSoftmax, JointRows_deviceRingAndPackedRows_equalFp64OverBoth) {
  constexpr std::int64_t kDeviceRows = 40;
  const std::vector<std::int32_t> offsets = {0, 5, 5, 105};
  fill(kDeviceRows + 105, 4.0F);  // packed rows lie behind the device's in this test's arrays
  for (int head = 0; head < 3; ++head) {
    const JointRows rows{kDeviceRows, PackedOffsets{offsets.data()}.of(head)};
    std::vector<float> logits;
    std::vector<std::vector<float>> values;
    for (std::int64_t i = 0; i < rows.count(); ++i) {
      const std::int64_t at = rows.on_device(i) ? i : kDeviceRows + rows.packed_row(i);
      logits.push_back(logits_[static_cast<std::size_t>(at)]);
      values.push_back(values_[static_cast<std::size_t>(at)]);
    }
    ASSERT_EQ(rows.count(), kDeviceRows + offsets[static_cast<std::size_t>(head) + 1] -
                                offsets[static_cast<std::size_t>(head)]);
    std::vector<Partial> partials;
    for (int split = 0; split < 4; ++split) {
      const RowRange range = split_range(rows.count(), 4, split, 16);
      partials.push_back(attend_piece(logits, values, range.begin, range.end, 1));
    }
    const std::vector<float> out = join(partials);
    const std::vector<double> expected = attend_fp64(logits, values);
    for (std::size_t d = 0; d < out.size(); ++d) EXPECT_NEAR(out[d], expected[d], 1e-5) << "head " << head;
  }
}

TEST(CudaTf32, EveryHalf_isATf32Value) {
  for (std::uint32_t bits = 0; bits < 0x7c00; ++bits) {
    const float x = kernels::to_float(kernels::Half{static_cast<std::uint16_t>(bits)});
    ASSERT_EQ(round_to_tf32(x), x);
    ASSERT_EQ(round_to_tf32(-x), -x);
  }
}

TEST(CudaTf32, SplitPair_anyFloat_sumsToItWithin22Bits) {
  std::mt19937 random(5);
  std::uniform_real_distribution<float> exponent(-60, 60);
  for (int i = 0; i < 100'000; ++i) {
    const float x = (i % 2 ? 1.0F : -1.0F) * std::exp2(exponent(random));
    const Tf32Pair pair = split_tf32(x);
    const double error = std::abs(static_cast<double>(x) - pair.high - pair.low);
    ASSERT_LE(error, std::ldexp(std::abs(static_cast<double>(x)), -22)) << x;
    ASSERT_EQ(round_to_tf32(pair.low), pair.low);
  }
}

TEST(CudaSmallOps, Rotate_everyPair_equalsTheHostsRope) {
  constexpr int kDim = 64;
  std::vector<float> x(kDim);
  std::iota(x.begin(), x.end(), -20.0F);
  std::vector<float> expected = x;
  std::vector<float> cosine(kDim / 2);
  std::vector<float> sine(kDim / 2);
  kernels::rope_angles(131'071, kernels::rope_frequencies(kDim, 500'000.0), cosine.data(), sine.data());
  kernels::rope(expected.data(), 1, kDim, cosine.data(), sine.data());
  for (int i = 0; i < kDim / 2; ++i) {
    const double angle = 131'071 * std::pow(500'000.0, -2.0 * i / kDim);
    const auto at = static_cast<std::size_t>(i);
    const RopePair turned = rotate({x[at], x[at + kDim / 2]}, static_cast<float>(std::cos(angle)),
                                   static_cast<float>(std::sin(angle)));
    EXPECT_NEAR(turned.low, expected[at], 1e-5F * 64);
    EXPECT_NEAR(turned.high, expected[at + kDim / 2], 1e-5F * 64);
  }
}

TEST(CudaSmallOps, Gated_wholeRange_equalsFp64) {
  for (double gate = -90; gate < 90; gate += 0.37) {
    const double expected = gate / (1 + std::exp(-gate)) * 1.5;
    EXPECT_NEAR(gated(static_cast<float>(gate), 1.5F), expected, 1e-6 * (1 + std::abs(expected)));
  }
}

TEST(CudaSmallOps, Better_tiesInAnyOrder_takeTheLowestIndex) {
  std::vector<float> values = {1, 7, 3, 7, 7, -2};
  std::vector<std::int32_t> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  do {
    Best best;
    for (const std::int32_t i : order) best = better(best, {values[static_cast<std::size_t>(i)], i});
    ASSERT_EQ(best.index, kernels::argmax(values.data(), static_cast<std::int64_t>(values.size())));
  } while (std::next_permutation(order.begin(), order.end()));
}

}  // namespace
}  // namespace hybridgen::cuda
