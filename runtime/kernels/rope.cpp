#include "runtime/kernels/rope.hpp"

#include <cmath>
#include <numbers>

#include "runtime/kernels/isa.hpp"
#include "runtime/kernels/simd.hpp"

namespace hybridgen::kernels {

namespace scalar {
static void rope(float* x, int heads, int head_dim, const float* cosine, const float* sine) {
  const int half = head_dim / 2;
  for (int h = 0; h < heads; ++h) {
    float* head = x + static_cast<std::int64_t>(h) * head_dim;
    for (int i = 0; i < half; ++i) {
      const float a = head[i], b = head[i + half];
      head[i] = a * cosine[i] - b * sine[i];
      head[i + half] = b * cosine[i] + a * sine[i];
    }
  }
}
}  // namespace scalar

namespace avx2 {
#define HG_TARGET HG_TARGET_AVX2
#include "runtime/kernels/rope.inl"
#undef HG_TARGET
}  // namespace avx2

namespace avx512 {
#define HG_TARGET HG_TARGET_AVX512
#include "runtime/kernels/rope.inl"
#undef HG_TARGET
}  // namespace avx512

static double scaled(double frequency, const RopeScaling& scaling) {
  const double periods =
      scaling.original_context * frequency / (2 * std::numbers::pi);  // in the trained context
  if (periods < scaling.low_freq_factor) return frequency / scaling.factor;
  if (periods > scaling.high_freq_factor) return frequency;
  const double share =
      (periods - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor);
  return (1 - share) * frequency / scaling.factor + share * frequency;
}

std::vector<double> rope_frequencies(int head_dim, double theta, const RopeScaling& scaling) {
  std::vector<double> frequencies;
  for (int i = 0; i < head_dim / 2; ++i) {
    const double frequency = std::pow(theta, -2.0 * i / head_dim);
    frequencies.push_back(scaling.active() ? scaled(frequency, scaling) : frequency);
  }
  return frequencies;
}

void rope_angles(std::int64_t position, std::span<const double> frequencies, float* cosine, float* sine) {
  for (std::size_t i = 0; i < frequencies.size(); ++i) {
    const double angle = static_cast<double>(position) * frequencies[i];
    cosine[i] = static_cast<float>(std::cos(angle));
    sine[i] = static_cast<float>(std::sin(angle));
  }
}

void rope(float* x, int heads, int head_dim, const float* cosine, const float* sine) {
  pick(scalar::rope, avx2::rope, avx512::rope)(x, heads, head_dim, cosine, sine);
}

}  // namespace hybridgen::kernels
