#include "runtime/kernels/elementwise.hpp"

#include <algorithm>
#include <cmath>

#include "runtime/kernels/isa.hpp"
#include "runtime/kernels/simd.hpp"

namespace hybridgen::kernels {

namespace scalar {

static float dot(const float* a, const float* b, std::int64_t n) {
  float sum = 0.0f;
  for (std::int64_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

static void scale_by(const float* x, const float* weight, float* y, std::int64_t n, float factor) {
  for (std::int64_t i = 0; i < n; ++i) y[i] = x[i] * factor * weight[i];
}

static void scale(float* x, std::int64_t n, float factor) {
  for (std::int64_t i = 0; i < n; ++i) x[i] *= factor;
}

static void add_arrays(const float* a, const float* b, float* y, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) y[i] = a[i] + b[i];
}

static void swiglu(const float* gate, const float* up, float* y, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) y[i] = gate[i] / (1.0f + std::exp(-gate[i])) * up[i];
}

static float sum(const float* x, std::int64_t n) {
  float total = 0.0f;
  for (std::int64_t i = 0; i < n; ++i) total += x[i];
  return total;
}

static void shift(const float* x, float* y, std::int64_t n, float by) {
  for (std::int64_t i = 0; i < n; ++i) y[i] = x[i] + by;
}

static void relu(float* x, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) x[i] = x[i] > 0.0f ? x[i] : 0.0f;
}

static float max_of(const float* x, std::int64_t n) {
  return *std::max_element(x, x + n);
}

static float exp_sum(float* x, std::int64_t n, float shift) {
  float sum = 0.0f;
  for (std::int64_t i = 0; i < n; ++i) {
    const float exponent = x[i] - shift;
    x[i] = exponent < simd_detail::kExpLowest ? 0.0f : std::exp(exponent);
    sum += x[i];
  }
  return sum;
}

}  // namespace scalar

namespace avx2 {
#define HG_TARGET HG_TARGET_AVX2
#include "runtime/kernels/elementwise.inl"
#undef HG_TARGET
}  // namespace avx2

namespace avx512 {
#define HG_TARGET HG_TARGET_AVX512
#include "runtime/kernels/elementwise.inl"
#undef HG_TARGET
}  // namespace avx512

void rms_norm(const float* x, const float* weight, float* y, std::int64_t n, float eps) {
  const float mean = dot(x, x, n) / static_cast<float>(n);
  const float factor = 1.0f / std::sqrt(mean + eps);
  pick(scalar::scale_by, avx2::scale_by, avx512::scale_by)(x, weight, y, n, factor);
}

void layer_norm(const float* x, const float* weight, const float* bias, float* y, std::int64_t n, float eps) {
  const float mean = pick(scalar::sum, avx2::sum, avx512::sum)(x, n) / static_cast<float>(n);
  pick(scalar::shift, avx2::shift, avx512::shift)(x, y, n, -mean);
  const float factor = 1.0f / std::sqrt(dot(y, y, n) / static_cast<float>(n) + eps);
  pick(scalar::scale_by, avx2::scale_by, avx512::scale_by)(y, weight, y, n, factor);
  add(y, bias, y, n);
}

void relu(float* x, std::int64_t n) {
  pick(scalar::relu, avx2::relu, avx512::relu)(x, n);
}

void swiglu(const float* gate, const float* up, float* y, std::int64_t n) {
  pick(scalar::swiglu, avx2::swiglu, avx512::swiglu)(gate, up, y, n);
}

void add(const float* a, const float* b, float* y, std::int64_t n) {
  pick(scalar::add_arrays, avx2::add_arrays, avx512::add_arrays)(a, b, y, n);
}

void scale(float* x, std::int64_t n, float factor) {
  pick(scalar::scale, avx2::scale, avx512::scale)(x, n, factor);
}

float dot(const float* a, const float* b, std::int64_t n) {
  return pick(scalar::dot, avx2::dot, avx512::dot)(a, b, n);
}

float max_of(const float* x, std::int64_t n) {
  return pick(scalar::max_of, avx2::max_of, avx512::max_of)(x, n);
}

std::int64_t argmax(const float* x, std::int64_t n) {
  return std::find(x, x + n, max_of(x, n)) - x;
}

float exp_sum(float* x, std::int64_t n, float shift) {
  return pick(scalar::exp_sum, avx2::exp_sum, avx512::exp_sum)(x, n, shift);
}

float softmax(float* x, std::int64_t n) {
  const float shift = max_of(x, n);
  const float sum = exp_sum(x, n, shift);
  scale(x, n, 1.0f / sum);
  return shift + std::log(sum);
}

}  // namespace hybridgen::kernels
