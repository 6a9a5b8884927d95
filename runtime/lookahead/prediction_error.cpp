#include "runtime/lookahead/prediction_error.hpp"

#include <cmath>

#include "runtime/kernels/elementwise.hpp"
#include "runtime/kernels/line_fit.hpp"

namespace hybridgen {
namespace {

constexpr Tokens kEvery = 8;  // tokens between two that logits are measured of
constexpr Tokens kSinks = 4;  // their keys lie far from all others

// Of one head at one token, over the keys up to it.
struct Logits {
  std::vector<float> exact, predicted;

  Logits(const ModelShape& shape, const float* query, const float* guess, const float* keys, Tokens count)
      : exact(static_cast<std::size_t>(count)), predicted(exact.size()) {
    const float scale = 1.0F / std::sqrt(static_cast<float>(shape.head_dim));
    for (Tokens i = 0; i < count; ++i) {
      const float* key = keys + i * shape.kv_width();
      exact[static_cast<std::size_t>(i)] = scale * kernels::dot(query, key, shape.head_dim);
      predicted[static_cast<std::size_t>(i)] = scale * kernels::dot(guess, key, shape.head_dim);
    }
  }

  // Mean square of the error over [first, last), over the variance of the exact logits there.
  double relative_square(const kernels::Line& line, Tokens first, Tokens last) const {
    double sum = 0;
    double squares = 0;
    double errors = 0;
    for (auto i = static_cast<std::size_t>(first); i < static_cast<std::size_t>(last); ++i) {
      const double error = double{line.slope} * predicted[i] + line.shift - exact[i];
      errors += error * error;
      sum += exact[i];
      squares += double{exact[i]} * exact[i];
    }
    const double n = static_cast<double>(last - first);
    const double variance = squares / n - sum / n * (sum / n);
    return variance > 0 ? errors / n / variance : 0;
  }
};

}  // namespace

PredictionError prediction_error(const ModelShape& shape, const std::vector<float>& queries,
                                 const std::vector<float>& predicted, const std::vector<float>& keys,
                                 Tokens first) {
  const auto tokens = static_cast<Tokens>(queries.size()) / shape.q_width();
  double cosine = 0;
  std::int64_t cosines = 0;
  std::array<double, 2> squares{0, 0};
  std::int64_t measured = 0;
  for (Tokens t = first; t < tokens; ++t) {
    const Tokens newest = (t + 1) / 4;
    const Tokens last = t + 1 - newest;
    for (int head = 0; head < shape.query_heads; ++head) {
      const std::int64_t at = t * shape.q_width() + static_cast<std::int64_t>(head) * shape.head_dim;
      const float* query = queries.data() + at;
      const float* guess = predicted.data() + at;
      const double norms = std::sqrt(double{kernels::dot(query, query, shape.head_dim)} *
                                     double{kernels::dot(guess, guess, shape.head_dim)});
      cosine += norms > 0 ? kernels::dot(query, guess, shape.head_dim) / norms : 1;
      ++cosines;
      if ((t - first) % kEvery != 0 || last <= kSinks) continue;
      const Logits logits(shape, query, guess,
                          keys.data() + static_cast<std::int64_t>(head / shape.group()) * shape.head_dim,
                          t + 1);
      const kernels::Line line =
          kernels::fit_line(logits.predicted.data() + last, logits.exact.data() + last, newest);
      squares[0] += logits.relative_square({}, kSinks, last);
      squares[1] += logits.relative_square(line, kSinks, last);
      ++measured;
    }
  }
  PredictionError error;
  if (cosines > 0) error.cosine = cosine / static_cast<double>(cosines);
  for (std::size_t i = 0; i < squares.size() && measured > 0; ++i) {
    error.error_permille[i] = std::round(1000 * std::sqrt(squares[i] / static_cast<double>(measured)));
  }
  return error;
}

}  // namespace hybridgen
