// Body of rope for one instruction set; see simd.hpp.

HG_TARGET static void rope(float* x, int heads, int head_dim, const float* cosine, const float* sine) {
  const int half = head_dim / 2;
  for (int h = 0; h < heads; ++h) {
    float* low = x + static_cast<std::int64_t>(h) * head_dim;
    float* high = low + half;
    int i = 0;
    for (; i + kWidth <= half; i += kWidth) {
      const Vec a = load(low + i), b = load(high + i), c = load(cosine + i), s = load(sine + i);
      store(low + i, sub(mul(a, c), mul(b, s)));
      store(high + i, fma(a, s, mul(b, c)));
    }
    for (; i < half; ++i) {
      const float a = low[i], b = high[i];
      low[i] = a * cosine[i] - b * sine[i];
      high[i] = b * cosine[i] + a * sine[i];
    }
  }
}
