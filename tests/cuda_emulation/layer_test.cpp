// The kernels of a layer besides attention, emulated on the CPU, against fp64 and the host's kernels.
#include <gtest/gtest.h>

#include <vector>

#include "runtime/cuda/kernels/argmax.cuh"
#include "runtime/cuda/kernels/embed.cuh"
#include "runtime/cuda/kernels/gemm.cuh"
#include "runtime/cuda/kernels/gemv.cuh"
#include "runtime/cuda/kernels/residual_add.cuh"
#include "runtime/cuda/kernels/rms_norm.cuh"
#include "runtime/cuda/kernels/rope_store.cuh"
#include "runtime/cuda/kernels/swiglu.cuh"
#include "runtime/kernels/elementwise.hpp"
#include "runtime/kernels/rope.hpp"
#include "tests/cuda_emulation/data.hpp"

namespace hybridgen::cuda {
namespace {

// Odd numbers of rows, columns up to a few hundred, strides larger than the matrix, with and without a
// residual.
class CudaMatrix : public testing::TestWithParam<int> {
 protected:
  template <class Multiply>
  double worst_error(int tokens, const Multiply& multiply) {
    const int rows = data_.between(1, 140);
    const int cols = 8 * data_.between(1, 50);
    const std::int64_t x_stride = cols + 8;
    const std::int64_t y_stride = rows + 3;
    const Rows w = data_.rows(KvType::f16, static_cast<std::int64_t>(rows) * cols);
    const Array<float> x = data_.floats(tokens * x_stride);
    const Array<float> y = data_.floats(tokens * y_stride);
    const std::vector<float> before(y.get(), y.get() + tokens * y_stride);
    const bool residual = GetParam() % 2 == 0;
    multiply(MatrixArgs{reinterpret_cast<const Half*>(w.get()), rows, cols, x.get(), x_stride, y.get(),
                        y_stride, residual ? y.get() : nullptr});
    Worst worst;
    for (std::int64_t t = 0; t < tokens; ++t) {
      for (std::int64_t r = 0; r < y_stride; ++r) {
        const double old = before[static_cast<std::size_t>(t * y_stride + r)];
        double sum = residual || r >= rows ? old : 0;
        for (int c = 0; c < cols && r < rows; ++c) {
          sum += static_cast<double>(x[t * x_stride + c]) * w.at(r * cols + c);
        }
        worst.add(y[t * y_stride + r], sum);
      }
    }
    return worst.value();
  }

  Data data_{static_cast<unsigned>(GetParam())};
};

TEST_P(CudaMatrix, Gemv_oneToFourTokens_equalsFp64) {
  const int tokens = 1 + GetParam() % 4;
  EXPECT_LT(worst_error(tokens, [&](const MatrixArgs& args) { gemv(args, tokens, nullptr); }), 1e-5);
}

TEST_P(CudaMatrix, Gemm_manyTokens_equalsFp64ToFp32Accuracy) {
  const int tokens = data_.between(1, 100);
  EXPECT_LT(worst_error(tokens, [&](const MatrixArgs& args) { gemm(args, tokens, nullptr); }), 5e-5);
}

INSTANTIATE_TEST_SUITE_P(seeds, CudaMatrix, testing::Range(0, 8));

// Two requests of three in the batch, the second one's row first.
class CudaLayer : public testing::TestWithParam<KvType> {
 protected:
  CudaLayer() {
    rows_[0] = {2, 0, 17, 3};
    rows_[1] = {0, 3, 5, 2};
    step_.query_tokens = kTokens;
  }
  std::int64_t position(std::int64_t query) const {
    const RowParams& row = rows_[query < 3 ? 0 : 1];
    return row.first_position + query - row.first_query;
  }
  std::int32_t request(std::int64_t query) const { return rows_[query < 3 ? 0 : 1].request; }

  static constexpr std::int64_t kTokens = 5;
  static constexpr int kDim = 64;
  Data data_{11};
  StepParams step_{1, 2, 0};
  RowParams rows_[2];
};

TEST_P(CudaLayer, Embed_rowsOfTwoRequests_takesEachTokenAndItsAngles) {
  constexpr int kHidden = 72;
  const Rows embedding = data_.rows(KvType::f16, 100 * kHidden);
  Array<std::int32_t> tokens(3 * 30);
  for (int i = 0; i < 90; ++i) tokens[i] = data_.between(0, 99);
  const Array<float> out(kTokens * kHidden);
  const Array<float> cosine(kTokens * kDim / 2);
  const Array<float> sine(kTokens * kDim / 2);
  embed({&step_, rows_, tokens.get(), 30, reinterpret_cast<const Half*>(embedding.get()), kHidden, kDim,
         10000.0, out.get(), cosine.get(), sine.get()},
        kTokens, nullptr);
  for (std::int64_t query = 0; query < kTokens; ++query) {
    const std::int32_t token = tokens[request(query) * 30 + position(query)];
    for (int i = 0; i < kHidden; ++i) ASSERT_EQ(out[query * kHidden + i], embedding.at(token * kHidden + i));
    std::vector<float> c(kDim / 2);
    std::vector<float> s(kDim / 2);
    kernels::rope_angles(position(query), kernels::rope_frequencies(kDim, 10000.0), c.data(), s.data());
    for (std::size_t i = 0; i < c.size(); ++i) {
      const std::int64_t at = query * kDim / 2 + static_cast<std::int64_t>(i);
      ASSERT_NEAR(cosine[at], c[i], 1e-7);
      ASSERT_NEAR(sine[at], s[i], 1e-7);
    }
  }
}

TEST_P(CudaLayer, RopeStore_rowsOfTwoRequests_turnsQAndWritesKAndVInTheirSlots) {
  constexpr int kWidth = (4 + 2 * 2) * kDim;
  constexpr std::int64_t kSlots = 7;  // both requests' positions wrap
  const Array<float> qkv = data_.floats(kTokens * kWidth);
  std::vector<float> expected(qkv.get(), qkv.get() + kTokens * kWidth);
  const Array<float> cosine = data_.floats(kTokens * kDim / 2);
  const Array<float> sine = data_.floats(kTokens * kDim / 2);
  const Rows k[3] = {Rows(GetParam(), 2 * kSlots * kDim), Rows(GetParam(), 2 * kSlots * kDim),
                     Rows(GetParam(), 2 * kSlots * kDim)};
  const Rows v[3] = {Rows(GetParam(), 2 * kSlots * kDim), Rows(GetParam(), 2 * kSlots * kDim),
                     Rows(GetParam(), 2 * kSlots * kDim)};
  KvStore stores[3];
  for (int i = 0; i < 3; ++i) stores[i] = {k[i].get(), v[i].get(), kSlots};
  rope_store({&step_, rows_, stores, {4, 2, kDim}, GetParam(), qkv.get(), cosine.get(), sine.get()}, kTokens,
             nullptr);
  const double bound = GetParam() == KvType::f16 ? 2e-3 : 1e-6;
  for (std::int64_t query = 0; query < kTokens; ++query) {
    float* row = expected.data() + query * kWidth;
    kernels::rope(row, 6, kDim, cosine.get() + query * kDim / 2, sine.get() + query * kDim / 2);
    for (int i = 0; i < 4 * kDim; ++i) ASSERT_NEAR(qkv[query * kWidth + i], row[i], 1e-6);
    for (int i = 0; i < 2 * kDim; ++i) {
      const std::int64_t at = (i / kDim * kSlots + position(query) % kSlots) * kDim + i % kDim;
      ASSERT_NEAR(k[request(query)].at(at), row[4 * kDim + i], bound * (1 + std::abs(row[4 * kDim + i])));
      ASSERT_NEAR(v[request(query)].at(at), row[6 * kDim + i], bound * (1 + std::abs(row[6 * kDim + i])));
    }
  }
}

TEST_P(CudaLayer, RmsNorm_everyTokenOrTheLastOfEachRow_equalsTheHosts) {
  constexpr int kHidden = 600;
  const Array<float> x = data_.floats(kTokens * kHidden);
  const Array<float> weight = data_.floats(kHidden);
  const Array<float> y(kTokens * kHidden);
  std::vector<float> expected(kHidden);
  for (const bool last : {false, true}) {
    rms_norm({x.get(), weight.get(), y.get(), kHidden, 1e-5F, last ? rows_ : nullptr}, last ? 2 : kTokens,
             nullptr);
    for (std::int64_t i = 0; i < (last ? 2 : kTokens); ++i) {
      const std::int64_t token = last ? rows_[i].first_query + rows_[i].query_tokens - 1 : i;
      kernels::rms_norm(x.get() + token * kHidden, weight.get(), expected.data(), kHidden, 1e-5F);
      for (int d = 0; d < kHidden; ++d)
        ASSERT_NEAR(y[i * kHidden + d], expected[static_cast<std::size_t>(d)], 1e-5);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(types, CudaLayer, testing::Values(KvType::f16, KvType::f32));

TEST(CudaElements, Swiglu_severalTokens_writesOverGateOnly) {
  constexpr int kFfn = 300;
  Data data(3);
  const Array<float> gate_up = data.floats(3 * 2 * kFfn);
  std::vector<float> expected(gate_up.get(), gate_up.get() + 3 * 2 * kFfn);
  swiglu(gate_up.get(), kFfn, 3, nullptr);
  for (std::size_t t = 0; t < 3; ++t) {
    float* gate = expected.data() + t * 2 * kFfn;
    kernels::swiglu(gate, gate + kFfn, gate, kFfn);
  }
  for (int i = 0; i < 3 * 2 * kFfn; ++i) ASSERT_NEAR(gate_up[i], expected[static_cast<std::size_t>(i)], 1e-6);
}

TEST(CudaElements, ResidualAdd_oddLength_addsEachOnce) {
  Data data(4);
  const Array<float> x = data.floats(1001);
  const Array<float> y = data.floats(1001);
  const std::vector<float> before(y.get(), y.get() + 1001);
  residual_add(x.get(), y.get(), 1001, nullptr);
  for (int i = 0; i < 1001; ++i) ASSERT_EQ(y[i], before[static_cast<std::size_t>(i)] + x[i]);
}

TEST(CudaElements, Argmax_tiesAndForcedTokens_goToTheRequestsNextPosition) {
  Data data(5);
  for (const int vocab : {1, 31, 2000}) {
    const Array<float> logits = data.floats(vocab);
    logits[vocab / 2] = logits[vocab - 1] = 9;  // the lower index wins
    std::int32_t tokens[10] = {};
    std::int32_t to_host = -1;
    const std::int32_t forced[] = {5, 6, 77};
    OpParams op;
    op.context = 7;
    op.generated = 2;
    argmax({&op, logits.get(), vocab, nullptr, tokens, &to_host}, nullptr);
    EXPECT_EQ(tokens[7], vocab / 2);
    EXPECT_EQ(to_host, vocab / 2);
    argmax({&op, logits.get(), vocab, forced, tokens, &to_host}, nullptr);
    EXPECT_EQ(tokens[7], 77);
    EXPECT_EQ(tokens[8], 0);
  }
}

}  // namespace
}  // namespace hybridgen::cuda
