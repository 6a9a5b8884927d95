#include "runtime/kernels/rope.hpp"

#include <cmath>

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

void rope_angles(std::int64_t position, int head_dim, double theta, float* cosine, float* sine) {
  for (int i = 0; i < head_dim / 2; ++i) {
    const double angle = static_cast<double>(position) * std::pow(theta, -2.0 * i / head_dim);
    cosine[i] = static_cast<float>(std::cos(angle));
    sine[i] = static_cast<float>(std::sin(angle));
  }
}

void rope(float* x, int heads, int head_dim, const float* cosine, const float* sine) {
  pick(scalar::rope, avx2::rope, avx512::rope)(x, heads, head_dim, cosine, sine);
}

}  // namespace hybridgen::kernels
