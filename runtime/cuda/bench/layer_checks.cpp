// Checks of a layer's kernels besides attention: two requests of three in the batch, odd widths, strides
// larger than the matrix, with and without a residual.
#include <vector>

#include "runtime/cuda/bench/check_data.hpp"
#include "runtime/cuda/bench/kernel_checks.hpp"
#include "runtime/cuda/kernels/activate.cuh"
#include "runtime/cuda/kernels/argmax.cuh"
#include "runtime/cuda/kernels/embed.cuh"
#include "runtime/cuda/kernels/gemm.cuh"
#include "runtime/cuda/kernels/gemv.cuh"
#include "runtime/cuda/kernels/norm.cuh"
#include "runtime/cuda/kernels/rope_store.cuh"
#include "runtime/kernels/elementwise.hpp"
#include "runtime/kernels/gemv.hpp"
#include "runtime/kernels/rope.hpp"

namespace hybridgen::cuda {
namespace {

constexpr double kFp32Bound = 1e-5;  // sums of some thousand products, of order 1
constexpr double kTf32Bound = 2e-5;  // the same, each factor cut to 2^-22
constexpr double kElementBound = 1e-6;
constexpr double kAngleBound = 2e-7;  // a rounding of fp32 apart
constexpr double kF16Bound = 2e-3;    // what is stored as fp16: 2^-11, of values up to 4
constexpr double kBf16Bound = 4e-3;   // the same as bf16: 2^-8

std::size_t at(std::int64_t i) {
  return static_cast<std::size_t>(i);
}

// Random sizes of one matrix product, and its result against fp64 and the host's gemv.
// input(x, cols): what the product takes for a token's row x, wide floats long for each column.
template <class Multiply, class Input>
CheckError check_matrix(const CheckShape& shape, int most_query_tokens, int wide, const Multiply& multiply,
                        const Input& input) {
  Data data(shape.seed);
  Worst fp64;
  Worst host;
  const int most = static_cast<int>(shape.most_tokens);
  for (int round = 0; round < 8; ++round) {
    const int tokens = data.between(1, most_query_tokens);
    const int rows = data.between(1, most);
    const int cols = 8 * data.between(1, most / 8);
    const std::int64_t x_stride = static_cast<std::int64_t>(wide) * cols + 8;
    const std::int64_t y_stride = rows + 3;
    const Rows w = data.rows(KvType::f16, static_cast<std::int64_t>(rows) * cols);
    const Array<float> x = data.floats(tokens * x_stride, 1 / std::sqrt(static_cast<float>(cols)));
    const Array<float> y = data.floats(tokens * y_stride);
    const std::vector<float> before(y.get(), y.get() + tokens * y_stride);
    const Array<float> bias = data.floats(rows);
    const bool residual = round % 2 == 0;
    const bool biased = round % 3 == 0;
    const auto* halves = reinterpret_cast<const Half*>(w.get());
    multiply(MatrixArgs{halves, rows, cols, x.get(), x_stride, y.get(), y_stride,
                        residual ? y.get() : nullptr, biased ? bias.get() : nullptr},
             tokens);
    finish();
    std::vector<float> expected(at(rows));
    for (std::int64_t t = 0; t < tokens; ++t) {
      const std::vector<double> taken = input(x.get() + t * x_stride, cols);
      const std::vector<float> rounded(taken.begin(), taken.end());
      kernels::gemv_f16(halves, rounded.data(), expected.data(), 0, rows, cols);
      for (std::int64_t r = 0; r < y_stride; ++r) {
        const float old = before[at(t * y_stride + r)];
        double sum = residual || r >= rows ? old : 0;
        if (r < rows && biased) sum += bias[r];
        if (r < rows) host.add(y[t * y_stride + r], sum + expected[at(r)]);
        for (int c = 0; c < cols && r < rows; ++c) sum += taken[at(c)] * w.at(r * cols + c);
        fp64.add(y[t * y_stride + r], sum);
      }
    }
  }
  return {fp64.value(), host.value()};
}

std::vector<double> as_it_is(const float* x, int cols) {
  return {x, x + cols};
}

CheckError check_gemv(const CheckShape& shape) {
  return check_matrix(
      shape, kMostGemvTokens, 1, [](const MatrixArgs& args, int tokens) { gemv(args, {}, tokens, nullptr); },
      as_it_is);
}

CheckError check_gemv_normed(const CheckShape& shape) {
  constexpr float kEps = 1e-3F;
  Data data(shape.seed + 1);
  const Array<float> weight =
      data.floats(shape.most_tokens, 1 / std::sqrt(static_cast<float>(shape.most_tokens)));
  return check_matrix(
      shape, kMostGemvTokens, 1,
      [&](const MatrixArgs& args, int tokens) {
        gemv(args, {GemvInput::Kind::normed, weight.get(), kEps}, tokens, nullptr);
      },
      [&](const float* x, int cols) {
        std::vector<double> taken = as_it_is(x, cols);
        double squares = 0;
        for (const double each : taken) squares += each * each;
        const double factor = 1 / std::sqrt(squares / cols + kEps);
        for (int c = 0; c < cols; ++c) taken[at(c)] *= factor * weight[c];
        return taken;
      });
}

CheckError check_gemv_gated(const CheckShape& shape) {
  return check_matrix(
      shape, kMostGemvTokens, 2,
      [](const MatrixArgs& args, int tokens) { gemv(args, {GemvInput::Kind::gated}, tokens, nullptr); },
      [](const float* x, int cols) {
        std::vector<double> taken = as_it_is(x, cols);
        for (int c = 0; c < cols; ++c) taken[at(c)] *= x[cols + c] / (1 + std::exp(-taken[at(c)]));
        return taken;
      });
}

CheckError check_gemm(const CheckShape& shape) {
  return check_matrix(
      shape, 100, 1, [](const MatrixArgs& args, int tokens) { gemm(args, tokens, nullptr); }, as_it_is);
}

// Requests 2 and 0 of three, in slots with other numbers, with three and two query tokens.
struct TwoRows {
  TwoRows() {
    rows[0] = {2, 1, 0, 17, 3};
    rows[1] = {0, 2, 3, 5, 2};
    step[0] = {1, 2, kTokens};
  }
  std::int64_t position(std::int64_t query) const {
    const RowParams& row = rows[query < 3 ? 0 : 1];
    return row.first_position + query - row.first_query;
  }
  std::int32_t request(std::int64_t query) const { return rows[query < 3 ? 0 : 1].request; }
  std::int32_t slot(std::int64_t query) const { return rows[query < 3 ? 0 : 1].slot; }

  static constexpr std::int64_t kTokens = 5;
  Array<StepParams> step{1};
  Array<RowParams> rows{2};
};

// Rotary positions on one half of the shapes, a learned table on the other.
CheckError check_embed(const CheckShape& shape) {
  constexpr int kHidden = 72;
  constexpr std::int64_t kStride = 30;
  constexpr int kOffset = 2;
  Data data(shape.seed);
  const TwoRows two;
  const bool learned = shape.seed % 2 == 0;
  const int half = shape.head_dim / 2;
  const Rows embedding = data.rows(KvType::f16, 100 * kHidden);
  const Rows table = data.rows(KvType::f16, 40 * kHidden);
  const Array<std::int32_t> tokens(3 * kStride);
  for (int i = 0; i < 3 * kStride; ++i) tokens[i] = data.between(0, 99);
  const Array<double> frequencies(half);
  const std::vector<double> turns = kernels::rope_frequencies(shape.head_dim, 10000);
  for (int i = 0; i < half; ++i) frequencies[i] = turns[at(i)];
  const Array<float> out(TwoRows::kTokens * kHidden);
  const Array<float> cosine(TwoRows::kTokens * half);
  const Array<float> sine(TwoRows::kTokens * half);
  embed(
      {two.step.get(), two.rows.get(), tokens.get(), kStride, reinterpret_cast<const Half*>(embedding.get()),
       kHidden, shape.head_dim, learned ? nullptr : frequencies.get(),
       learned ? reinterpret_cast<const Half*>(table.get()) : nullptr, kOffset, out.get(), cosine.get(),
       sine.get()},
      TwoRows::kTokens, nullptr);
  finish();
  Worst fp64;
  for (std::int64_t query = 0; query < TwoRows::kTokens; ++query) {
    const std::int64_t position = two.position(query);
    const std::int64_t token = tokens[two.request(query) * kStride + position];
    for (int i = 0; i < kHidden; ++i) {
      double wanted = embedding.at(token * kHidden + i);
      if (learned) wanted += table.at((position + kOffset) * kHidden + i);
      fp64.add(out[query * kHidden + i], wanted);
    }
    for (int i = 0; i < half; ++i) {
      const double angle = static_cast<double>(position) * frequencies[i];
      fp64.add(cosine[query * half + i], learned ? 0 : std::cos(angle));
      fp64.add(sine[query * half + i], learned ? 0 : std::sin(angle));
    }
  }
  return {fp64.value(), std::nullopt};
}

// Heads that are normed, heads that are not turned: by the seed. The error of what is stored in fp16 counts
// for less, so that one bound serves both types.
CheckError check_rope_store(const CheckShape& shape) {
  constexpr std::int64_t kSlots = 7;  // both requests' positions wrap
  Data data(shape.seed);
  const TwoRows two;
  const int dim = shape.head_dim;
  const HeadShape heads{shape.group * 2, 2, dim};
  const std::int64_t width = (heads.query_heads + 4) * dim;
  const Array<float> qkv = data.floats(TwoRows::kTokens * width);
  std::vector<float> expected(qkv.get(), qkv.get() + TwoRows::kTokens * width);
  const Array<float> cosine = data.floats(TwoRows::kTokens * dim / 2);
  const Array<float> sine = data.floats(TwoRows::kTokens * dim / 2);
  std::vector<Rows> k;
  std::vector<Rows> v;
  const Array<KvStore> stores(3);
  for (int i = 0; i < 3; ++i) {
    k.emplace_back(shape.kv_type, 2 * kSlots * dim);
    v.emplace_back(shape.kv_type, 2 * kSlots * dim);
    stores[i] = {k.back().get(), v.back().get(), kSlots};
  }
  const Array<float> norms = data.floats(2 * dim);
  const bool normed = shape.seed % 3 == 0;
  const bool turned_by_angle = shape.seed % 5 != 0;
  rope_store({two.step.get(), two.rows.get(), stores.get(), heads, shape.kv_type, qkv.get(),
              turned_by_angle ? cosine.get() : nullptr, sine.get(), normed ? norms.get() : nullptr,
              norms.get() + dim, 1e-6F},
             TwoRows::kTokens, nullptr);
  finish();
  Worst turned;
  Worst stored;
  for (std::int64_t query = 0; query < TwoRows::kTokens; ++query) {
    float* row = expected.data() + query * width;
    for (int head = 0; normed && head < heads.query_heads + 2; ++head) {
      const float* weight = norms.get() + (head < heads.query_heads ? 0 : dim);
      kernels::rms_norm(row + head * dim, weight, row + head * dim, dim, 1e-6F);
    }
    if (turned_by_angle)
      kernels::rope(row, heads.query_heads + 2, dim, cosine.get() + query * dim / 2,
                    sine.get() + query * dim / 2);
    for (int i = 0; i < heads.query_heads * dim; ++i) turned.add(qkv[query * width + i], row[i]);
    for (int i = 0; i < 2 * dim; ++i) {
      const std::int64_t to = (i / dim * kSlots + two.position(query) % kSlots) * dim + i % dim;
      stored.add(k[at(two.slot(query))].at(to), row[heads.query_heads * dim + i]);
      stored.add(v[at(two.slot(query))].at(to), row[(heads.query_heads + 2) * dim + i]);
    }
  }
  const double allowed = shape.kv_type == KvType::f16    ? kF16Bound
                         : shape.kv_type == KvType::bf16 ? kBf16Bound
                                                         : kElementBound;
  return {std::max(turned.value(), stored.value() * kElementBound / allowed), std::nullopt};
}

CheckError check_norm(const CheckShape& shape) {
  constexpr int kHidden = 600;
  constexpr float kEps = 1e-5F;
  Data data(shape.seed);
  const TwoRows two;
  const Array<float> x = data.floats(TwoRows::kTokens * kHidden);
  for (int i = 0; i < TwoRows::kTokens * kHidden; ++i) x[i] += 0.7F;  // a mean that counts
  const Array<float> weight = data.floats(kHidden);
  const Array<float> bias = data.floats(kHidden);
  const Array<float> y(TwoRows::kTokens * kHidden);
  Worst fp64;
  Worst host;
  std::vector<float> expected(kHidden);
  for (const bool layer : {false, true}) {
    for (const bool last : {false, true}) {
      const std::int64_t blocks = last ? 2 : TwoRows::kTokens;
      norm({x.get(), weight.get(), layer ? bias.get() : nullptr, y.get(), kHidden, kEps,
            last ? two.rows.get() : nullptr},
           blocks, nullptr);
      finish();
      for (std::int64_t i = 0; i < blocks; ++i) {
        const std::int64_t token = last ? two.rows[i].first_query + two.rows[i].query_tokens - 1 : i;
        const float* from = x.get() + token * kHidden;
        double mean = 0;
        for (int d = 0; layer && d < kHidden; ++d) mean += static_cast<double>(from[d]) / kHidden;
        double squares = 0;
        for (int d = 0; d < kHidden; ++d) squares += (from[d] - mean) * (from[d] - mean);
        const double factor = 1 / std::sqrt(squares / kHidden + kEps);
        for (int d = 0; d < kHidden; ++d)
          fp64.add(y[i * kHidden + d], (from[d] - mean) * factor * weight[d] + (layer ? bias[d] : 0));
        if (layer) continue;
        kernels::rms_norm(from, weight.get(), expected.data(), kHidden, kEps);
        for (int d = 0; d < kHidden; ++d) host.add(y[i * kHidden + d], expected[at(d)]);
      }
    }
  }
  return {fp64.value(), host.value()};
}

CheckError check_activate(const CheckShape& shape) {
  constexpr int kFfn = 300;
  Data data(shape.seed);
  const Array<float> gate_up = data.floats(3 * 2 * kFfn);
  const std::vector<float> before(gate_up.get(), gate_up.get() + 3 * 2 * kFfn);
  swiglu(gate_up.get(), kFfn, 3, nullptr);
  finish();
  Worst fp64;
  Worst host;
  std::vector<float> expected(kFfn);
  for (int t = 0; t < 3; ++t) {
    const float* gate = before.data() + t * 2 * kFfn;
    kernels::swiglu(gate, gate + kFfn, expected.data(), kFfn);
    for (int i = 0; i < kFfn; ++i) {
      const double x = gate[i];
      fp64.add(gate_up[t * 2 * kFfn + i], x / (1 + std::exp(-x)) * gate[kFfn + i]);
      host.add(gate_up[t * 2 * kFfn + i], expected[at(i)]);
      fp64.add(gate_up[t * 2 * kFfn + kFfn + i], gate[kFfn + i]);  // up stays as it is
    }
  }
  const Array<float> x = data.floats(3 * kFfn);
  const std::vector<float> given(x.get(), x.get() + 3 * kFfn);
  relu(x.get(), kFfn, 3, nullptr);
  finish();
  for (int i = 0; i < 3 * kFfn; ++i) fp64.add(x[i], std::max(given[at(i)], 0.0F));
  return {fp64.value(), host.value()};
}

// Counts what is wrong: ties go to the lower index, a forced token replaces the sampled one, each at the
// request's next position and nowhere else.
CheckError check_argmax(const CheckShape& shape) {
  Data data(shape.seed);
  double wrong = 0;
  for (const int vocab : {1, 31, 2000}) {
    const Array<float> logits = data.floats(vocab);
    logits[vocab / 2] = logits[vocab - 1] = 9;
    const Array<std::int32_t> tokens(10);
    const Array<std::int32_t> to_host(1);
    const Array<std::int32_t> forced(3);
    forced[2] = 77;
    const Array<OpParams> op(1);
    op[0].context = 7;
    op[0].generated = 2;
    argmax({op.get(), logits.get(), vocab, nullptr, tokens.get(), to_host.get()}, nullptr);
    finish();
    wrong += tokens[7] != vocab / 2;
    wrong += to_host[0] != vocab / 2 || to_host[0] != kernels::argmax(logits.get(), vocab);
    argmax({op.get(), logits.get(), vocab, forced.get(), tokens.get(), to_host.get()}, nullptr);
    finish();
    wrong += tokens[7] != 77 || to_host[0] != 77;
    for (const int i : {0, 1, 2, 3, 4, 5, 6, 8, 9}) wrong += tokens[i] != 0;
  }
  return {wrong, std::nullopt};
}

}  // namespace

std::vector<KernelCheck> layer_checks() {
  return {
      {"gemv", "one to four tokens", kFp32Bound, false, check_gemv},
      {"gemv", "one to four tokens behind their norm", kFp32Bound, false, check_gemv_normed},
      {"gemv", "one to four tokens, gated", kFp32Bound, false, check_gemv_gated},
      {"gemm", "up to a hundred tokens", kTf32Bound, false, check_gemm},
      {"embed", "two requests of three, rotary or learned positions", kAngleBound, true, check_embed},
      {"rope_store", "two requests of three, heads normed and turned or not", kElementBound, true,
       check_rope_store},
      {"norm", "with a bias and without, every token and the last of each row", kFp32Bound, false,
       check_norm},
      {"activate", "swiglu and relu of several tokens", kElementBound, false, check_activate},
      {"argmax", "ties and forced tokens", 0, false, check_argmax},
  };
}

}  // namespace hybridgen::cuda
