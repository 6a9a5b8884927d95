// The dense kernels against the same formula in fp64. Bounds are on |error| and hold for inputs in [-1, 1]:
// fp32 summation of n terms of size <= 1 errs by at most n * 2^-24 in the worst order, far less in practice.
#include <bit>
#include <cmath>
#include <limits>

#include "runtime/kernels/convert.hpp"
#include "runtime/kernels/elementwise.hpp"
#include "runtime/kernels/gemm.hpp"
#include "runtime/kernels/gemv.hpp"
#include "runtime/kernels/pack.hpp"
#include "runtime/kernels/rope.hpp"
#include "tests/runtime/kernel_fixture.hpp"

namespace hybridgen::kernels {
namespace {

std::vector<Half> to_halves(const std::vector<float>& from) {
  std::vector<Half> halves;
  for (const float x : from) halves.push_back(to_half(x));
  return halves;
}

double dot64(const Half* a, const float* b, std::int64_t n) {
  double sum = 0;
  for (std::int64_t i = 0; i < n; ++i) sum += static_cast<double>(to_float(a[i])) * b[i];
  return sum;
}

TEST(Half, EveryPattern_throughFloatAndBack_isItself) {
  for (std::uint32_t bits = 0; bits < 0x10000u; ++bits) {
    const Half half{static_cast<std::uint16_t>(bits)};
    const float value = to_float(half);
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(to_float(to_half(value)))) << bits;
    } else {
      EXPECT_EQ(to_half(value).bits, bits);
    }
  }
}

TEST(Half, MidpointsBetweenNeighbours_roundToEven) {
  for (std::uint32_t bits = 0; bits < 0x7bffu; ++bits) {
    const double low = to_float(Half{static_cast<std::uint16_t>(bits)});
    const double high = to_float(Half{static_cast<std::uint16_t>(bits + 1)});
    const auto middle = static_cast<float>((low + high) / 2);
    EXPECT_EQ(to_half(middle).bits, bits & 1 ? bits + 1 : bits);
    EXPECT_EQ(to_half(std::nextafter(middle, 1e9f)).bits, bits + 1);
    EXPECT_EQ(to_half(std::nextafter(middle, -1e9f)).bits, bits);
  }
  EXPECT_EQ(to_half(65519.0f).bits, 0x7bff);
  EXPECT_EQ(to_half(65520.0f).bits, 0x7c00);
}

using Kernels = KernelTest;
HG_FOR_EVERY_ISA(Kernels);

TEST_P(Kernels, Convert_everyBfloat_isItselfAgainAndMidpointsRoundToEven) {
  std::vector<Bfloat> stored;
  std::vector<float> middles;
  for (std::uint32_t bits = 0; bits < 0x10000u; ++bits) {
    if ((bits & 0x7fffu) > 0x7f80u) continue;  // NaN
    stored.push_back(Bfloat{static_cast<std::uint16_t>(bits)});
    middles.push_back(std::bit_cast<float>(bits << 16 | 0x8000u));
  }
  const auto n = static_cast<std::int64_t>(stored.size());
  std::vector<float> wide(stored.size());
  std::vector<Bfloat> back(stored.size());
  convert(stored.data(), wide.data(), n);
  convert(wide.data(), back.data(), n);
  for (std::size_t i = 0; i < stored.size(); ++i) {
    ASSERT_EQ(std::bit_cast<std::uint32_t>(wide[i]), static_cast<std::uint32_t>(stored[i].bits) << 16);
    ASSERT_EQ(back[i].bits, stored[i].bits);
  }
  convert(middles.data(), back.data(), n);
  for (std::size_t i = 0; i < stored.size(); ++i) {
    if (std::isnan(middles[i])) continue;
    ASSERT_EQ(back[i].bits, stored[i].bits + (stored[i].bits & 1u)) << stored[i].bits;
  }
  const float nan = std::bit_cast<float>(0x7fffffffu);
  const std::vector<float> nans(19, nan);
  convert(nans.data(), back.data(), 19);
  for (int i = 0; i < 19; ++i) EXPECT_TRUE(std::isnan(to_float(back[static_cast<std::size_t>(i)])));
}

TEST_P(Kernels, Convert_everyHalf_equalsScalar) {
  std::vector<Half> halves;
  for (std::uint32_t bits = 0; bits < 0x10000u; ++bits) {
    if ((bits & 0x7fffu) <= 0x7c00u) halves.push_back(Half{static_cast<std::uint16_t>(bits)});
  }
  const auto n = static_cast<std::int64_t>(halves.size());
  std::vector<float> floats(halves.size());
  std::vector<Half> back(halves.size());
  convert(halves.data(), floats.data(), n);
  convert(floats.data(), back.data(), n);
  for (std::size_t i = 0; i < halves.size(); ++i) {
    ASSERT_EQ(floats[i], to_float(halves[i]));
    ASSERT_EQ(back[i].bits, halves[i].bits);
  }
}

TEST_P(Kernels, Convert_oddLengths_roundsLikeScalarAndStaysInside) {
  for (const std::int64_t n : {1, 2, 7, 8, 9, 15, 16, 17, 31, 100}) {
    const std::vector<float> from = random_floats(n, 70000.0f);
    Guarded<Half> to(n);
    convert(from.data(), to.data(), n);
    for (std::int64_t i = 0; i < n; ++i)
      EXPECT_EQ(to[i].bits, to_half(from[static_cast<std::size_t>(i)]).bits);
    EXPECT_TRUE(to.intact());
    Guarded<float> back(n);
    convert(to.data(), back.data(), n);
    for (std::int64_t i = 0; i < n; ++i) EXPECT_EQ(back[i], to_float(to[i]));
    EXPECT_TRUE(back.intact());
  }
}

TEST_P(Kernels, GemvF16_oddShapes_matchesFp64InItsRowsOnly) {
  for (const std::int64_t cols : {1, 7, 16, 33, 64, 100, 576, 1536, 1537}) {
    const std::int64_t rows = random_int(3, 9);
    const std::vector<Half> w = to_halves(random_floats(rows * cols));
    const std::vector<float> x = random_floats(cols);
    Guarded<float> y(rows);
    gemv_f16(w.data(), x.data(), y.data(), 1, rows - 1, cols);
    for (std::int64_t r = 1; r < rows - 1; ++r) {
      EXPECT_NEAR(y[r], dot64(w.data() + r * cols, x.data(), cols), 2e-7 * static_cast<double>(cols) + 1e-7);
    }
    EXPECT_TRUE(y.untouched(0) && y.untouched(rows - 1) && y.intact());
  }
}

TEST_P(Kernels, GemmF16_severalBlocksOfRows_matchesFp64) {
  const std::int64_t tokens = 5, cols = 100, rows = 2 * kGemmRows + 77, stride = rows + 3;
  const std::vector<Half> w = to_halves(random_floats(rows * cols));
  const std::vector<float> x = random_floats(tokens * (cols + 1));
  Guarded<float> y(tokens * stride);
  Guarded<float> scratch(gemm_scratch(cols));
  gemm_f16(w.data(), x.data(), cols + 1, tokens, 2, rows - 1, cols, y.data(), stride, scratch.data());
  for (std::int64_t t = 0; t < tokens; ++t) {
    for (std::int64_t r = 2; r < rows - 1; ++r) {
      ASSERT_NEAR(y[t * stride + r], dot64(w.data() + r * cols, x.data() + t * (cols + 1), cols), 2e-5);
    }
    EXPECT_TRUE(y.untouched(t * stride + 1) && y.untouched(t * stride + rows - 1));
  }
  EXPECT_TRUE(y.intact() && scratch.intact());
}

TEST_P(Kernels, RmsNorm_oddLengths_matchesFp64) {
  for (const std::int64_t n : {1, 5, 16, 31, 576, 1001}) {
    const std::vector<float> x = random_floats(n, 3.0f), weight = random_floats(n);
    Guarded<float> y(n);
    rms_norm(x.data(), weight.data(), y.data(), n, 1e-5f);
    double square = 0;
    for (const float v : x) square += static_cast<double>(v) * v;
    const double factor = 1.0 / std::sqrt(square / static_cast<double>(n) + 1e-5);
    for (std::int64_t i = 0; i < n; ++i) {
      const auto at = static_cast<std::size_t>(i);
      EXPECT_NEAR(y[i], x[at] * factor * weight[at], 2e-6);
    }
    EXPECT_TRUE(y.intact());
  }
}

TEST_P(Kernels, LayerNorm_farFromZero_matchesFp64) {
  for (const std::int64_t n : {2, 7, 16, 48, 65, 4096, 5003}) {
    std::vector<float> x = random_floats(n);
    for (float& value : x) value += 3.0f;  // a mean to take away
    const std::vector<float> weight = random_floats(n), bias = random_floats(n);
    double mean = 0, variance = 0;
    for (const float value : x) mean += value / static_cast<double>(n);
    for (const float value : x) variance += (value - mean) * (value - mean) / static_cast<double>(n);
    Guarded<float> y(n);
    std::copy(x.begin(), x.end(), y.data());
    layer_norm(y.data(), weight.data(), bias.data(), y.data(), n, 1e-5f);
    for (std::int64_t i = 0; i < n; ++i) {
      const auto at = static_cast<std::size_t>(i);
      const double expected = (x[at] - mean) / std::sqrt(variance + 1e-5) * weight[at] + bias[at];
      EXPECT_NEAR(y[i], expected, 5e-6) << n << " " << i;
    }
    EXPECT_TRUE(y.intact());
  }
}

TEST_P(Kernels, Relu_oddLengths_keepsThePositive) {
  for (const std::int64_t n : {1, 8, 23, 64}) {
    const std::vector<float> x = random_floats(n);
    Guarded<float> y(n);
    std::copy(x.begin(), x.end(), y.data());
    relu(y.data(), n);
    for (std::int64_t i = 0; i < n; ++i) {
      const float before = x[static_cast<std::size_t>(i)];
      EXPECT_EQ(y[i], before > 0 ? before : 0.0f);
    }
    EXPECT_TRUE(y.intact());
  }
}

TEST_P(Kernels, Swiglu_wideRange_matchesFp64RelativeError1e6) {
  for (const std::int64_t n : {1, 15, 16, 17, 1536}) {
    std::vector<float> gate = random_floats(n, 30.0f);
    const std::vector<float> up = random_floats(n);
    gate[0] = -200.0f;  // exp(200) overflows fp32
    Guarded<float> y(n);
    swiglu(gate.data(), up.data(), y.data(), n);
    for (std::int64_t i = 0; i < n; ++i) {
      const auto at = static_cast<std::size_t>(i);
      const double expected = gate[at] / (1.0 + std::exp(-static_cast<double>(gate[at]))) * up[at];
      EXPECT_NEAR(y[i], expected, 1e-6 * std::abs(expected) + 1e-30);
    }
    EXPECT_TRUE(y.intact());
  }
}

TEST_P(Kernels, AddAndScale_inPlace_areExact) {
  for (const std::int64_t n : {1, 8, 23, 64}) {
    const std::vector<float> a = random_floats(n), b = random_floats(n);
    Guarded<float> y(n);
    std::copy(a.begin(), a.end(), y.data());
    add(y.data(), b.data(), y.data(), n);
    scale(y.data(), n, 0.5f);
    for (std::int64_t i = 0; i < n; ++i) {
      const auto at = static_cast<std::size_t>(i);
      EXPECT_EQ(y[i], (a[at] + b[at]) * 0.5f);
    }
    EXPECT_TRUE(y.intact());
  }
}

TEST_P(Kernels, Dot_oddLengths_matchesFp64) {
  for (const std::int64_t n : {1, 3, 16, 40, 65, 5000}) {
    const std::vector<float> a = random_floats(n), b = random_floats(n);
    double expected = 0;
    for (std::size_t i = 0; i < a.size(); ++i) expected += static_cast<double>(a[i]) * b[i];
    EXPECT_NEAR(dot(a.data(), b.data(), n), expected, 1e-7 * static_cast<double>(n) + 1e-7);
  }
}

TEST_P(Kernels, Argmax_ties_takesTheLowestIndex) {
  for (const std::int64_t n : {1, 2, 15, 16, 33, 49152}) {
    std::vector<float> x = random_floats(n);
    const std::int64_t first = random_int(0, n - 1);
    x[static_cast<std::size_t>(first)] = 2.0f;
    x[static_cast<std::size_t>(random_int(first, n - 1))] = 2.0f;
    EXPECT_EQ(argmax(x.data(), n), first);
    EXPECT_EQ(max_of(x.data(), n), 2.0f);
  }
}

TEST_P(Kernels, Softmax_hugeAndInfiniteLogits_matchesFp64) {
  for (const std::int64_t n : {2, 5, 16, 100, 4099}) {
    std::vector<float> logit = random_floats(n, 40.0f);
    logit[0] = 500.0f;  // dwarfs the others: they must vanish without NaN
    if (n % 2) logit[0] = -std::numeric_limits<float>::infinity();
    const auto top = static_cast<double>(*std::max_element(logit.begin(), logit.end()));
    double sum = 0;
    for (const float x : logit) sum += std::exp(x - top);
    Guarded<float> p(n);
    std::copy(logit.begin(), logit.end(), p.data());
    EXPECT_NEAR(softmax(p.data(), n), top + std::log(sum), 1e-6 * std::abs(top) + 1e-6);
    for (std::int64_t i = 0; i < n; ++i) {
      const double expected = std::exp(logit[static_cast<std::size_t>(i)] - top) / sum;
      // x - top is rounded to fp32: up to 80 * 2^-24 in the exponent where the result is not yet 0.
      EXPECT_NEAR(p[i], expected, 1e-5 * expected + 2e-38);
    }
    EXPECT_TRUE(p.intact());
  }
}

TEST_P(Kernels, Rope_farPosition_matchesFp64HalfSplit) {
  for (const int head_dim : {16, 64, 96, 128}) {
    const int heads = 3, half = head_dim / 2;
    const std::int64_t position = 100'003;
    std::vector<float> cosine(static_cast<std::size_t>(half)), sine(cosine);
    rope_angles(position, rope_frequencies(head_dim, 1e5), cosine.data(), sine.data());
    const std::vector<float> x = random_floats(heads * head_dim);
    Guarded<float> y(heads * head_dim);
    std::copy(x.begin(), x.end(), y.data());
    rope(y.data(), heads, head_dim, cosine.data(), sine.data());
    for (int h = 0; h < heads; ++h) {
      for (int i = 0; i < half; ++i) {
        const double angle = position * std::pow(1e5, -2.0 * i / head_dim);
        const double a = x[static_cast<std::size_t>(h * head_dim + i)];
        const double b = x[static_cast<std::size_t>(h * head_dim + i + half)];
        EXPECT_NEAR(y[h * head_dim + i], a * std::cos(angle) - b * std::sin(angle), 3e-7);
        EXPECT_NEAR(y[h * head_dim + i + half], b * std::cos(angle) + a * std::sin(angle), 3e-7);
      }
    }
    EXPECT_TRUE(y.intact());
  }
}

// Llama-3.1-8B's own frequencies as transformers computes them in fp32: kept, blended, divided by eight.
TEST(RopeFrequencies, Llama31_equalTransformers) {
  const std::vector<double> scaled = rope_frequencies(128, 500'000.0, {8, 1, 4, 8192});
  const std::vector<double> plain = rope_frequencies(128, 500'000.0);
  ASSERT_EQ(scaled.size(), 64U);
  const std::pair<std::size_t, double> expected[] = {{0, 1.0},
                                                     {20, 0.01656044088},
                                                     {28, 0.003211446106},
                                                     {29, 0.00216657063},
                                                     {30, 0.001371893683},
                                                     {32, 5.24846022e-4},
                                                     {35, 9.556212171e-5},
                                                     {36, 7.784655463e-5},
                                                     {48, 6.647869668e-6},
                                                     {63, 3.068925878e-7}};
  for (const auto& [pair, value] : expected) EXPECT_NEAR(scaled[pair], value, 1e-6 * value) << pair;
  EXPECT_EQ(scaled[20], plain[20]);
  EXPECT_NEAR(scaled[63], plain[63] / 8, 1e-12 * plain[63]);
}

TEST_P(Kernels, EmbedRow_lastRow_isThatRow) {
  const std::vector<float> table = random_floats(7 * 33);
  const std::vector<Half> halves = to_halves(table);
  Guarded<float> row(33);
  embed_row(halves.data(), 6, 33, row.data());
  for (std::int64_t i = 0; i < 33; ++i)
    EXPECT_EQ(row[i], to_float(halves[static_cast<std::size_t>(6 * 33 + i)]));
  EXPECT_TRUE(row.intact());
}

TEST_P(Kernels, PackRows_acrossSpans_copiesBitForBit) {
  for (const KvType type : {KvType::f16, KvType::f32, KvType::bf16, KvType::int8}) {
    for (const int head_dim : {48, 64, 128}) {
      const std::int64_t first = 37, second = 55, count = 61;
      const std::int64_t bytes = row_bytes(type, head_dim);
      const Rows a = make_rows(type, head_dim, random_floats(first * head_dim));
      const Rows b = make_rows(type, head_dim, random_floats(second * head_dim));
      const RowSpan spans[] = {{a.data(), first}, {b.data(), second}};
      std::vector<std::int32_t> index;
      for (std::int64_t j = 0; j < count; ++j) {
        index.push_back(static_cast<std::int32_t>(random_int(0, first + second - 1)));
      }
      index[0] = first;  // the first row of the second span
      Guarded<unsigned char> packed(count * bytes);
      pack_rows(type, head_dim, spans, 2, index.data(), count, packed.data());
      for (std::int64_t j = 0; j < count; ++j) {
        const std::int64_t at = index[static_cast<std::size_t>(j)];
        const std::byte* row =
            at < first ? a.bytes.data() + at * bytes : b.bytes.data() + (at - first) * bytes;
        ASSERT_EQ(std::memcmp(packed.data() + j * bytes, row, static_cast<std::size_t>(bytes)), 0);
      }
      EXPECT_TRUE(packed.intact());
    }
  }
}

TEST_P(Kernels, Int8Rows_storedAndLoaded_areWithinHalfAStep) {
  for (const int head_dim : {16, 48, 64, 128}) {
    const std::int64_t count = 5;
    std::vector<float> from = random_floats(count * head_dim, 3.0f);
    for (int d = 0; d < head_dim; ++d) from[static_cast<std::size_t>(head_dim + d)] = 0;            // row 1
    for (int d = 0; d < head_dim; ++d) from[static_cast<std::size_t>(2 * head_dim + d)] *= 1e-38f;  // row 2
    for (int d = 0; d < head_dim; ++d) from[static_cast<std::size_t>(3 * head_dim + d)] *= 1e30f;   // row 3
    Guarded<std::byte> stored(count * row_bytes(KvType::int8, head_dim));
    store_rows(KvType::int8, head_dim, from.data(), stored.data(), count);
    const Rows expected = make_rows(KvType::int8, head_dim, {from.begin(), from.begin() + head_dim});
    EXPECT_EQ(std::memcmp(stored.data(), expected.data(), expected.bytes.size()), 0);
    Guarded<float> back(count * head_dim);
    load_rows(KvType::int8, head_dim, stored.data(), back.data(), count);
    for (std::int64_t n = 0; n < count; ++n) {
      const float* row = from.data() + n * head_dim;
      float largest = 0;
      for (int d = 0; d < head_dim; ++d) largest = std::max(largest, std::fabs(row[d]));
      const double step = n == 2 ? 2 * double{largest} : double{largest} / 127;  // row 2 becomes zero
      for (int d = 0; d < head_dim; ++d) {
        ASSERT_NEAR(back[n * head_dim + d], row[d], 0.5001 * step) << "row " << n;
        if (n == 1 || n == 2) {
          ASSERT_EQ(back[n * head_dim + d], 0.0f);
        }
      }
    }
    EXPECT_TRUE(stored.intact() && back.intact());
  }
}

TEST(ForceIsa, Scalar_isActiveUntilReleased) {
  force_isa(Isa::scalar);
  EXPECT_EQ(active_isa(), Isa::scalar);
  force_isa(std::nullopt);
  EXPECT_EQ(active_isa(), best_isa());
}

}  // namespace
}  // namespace hybridgen::kernels
