// Bodies of the element-wise kernels for one instruction set; see simd.hpp.

HG_TARGET static float dot(const float* a, const float* b, std::int64_t n) {
  Vec s0 = zero(), s1 = zero();
  std::int64_t i = 0;
  for (; i + 2 * kWidth <= n; i += 2 * kWidth) {
    s0 = fma(load(a + i), load(b + i), s0);
    s1 = fma(load(a + i + kWidth), load(b + i + kWidth), s1);
  }
  for (; i + kWidth <= n; i += kWidth) s0 = fma(load(a + i), load(b + i), s0);
  if (i < n) s1 = fma(load_first(a + i, n - i), load_first(b + i, n - i), s1);
  return reduce_add(add(s0, s1));
}

HG_TARGET static void scale_by(const float* x, const float* weight, float* y, std::int64_t n, float factor) {
  const Vec f = set1(factor);
  std::int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) store(y + i, mul(mul(load(x + i), f), load(weight + i)));
  if (i < n) store_first(y + i, mul(mul(load_first(x + i, n - i), f), load_first(weight + i, n - i)), n - i);
}

HG_TARGET static void scale(float* x, std::int64_t n, float factor) {
  const Vec f = set1(factor);
  std::int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) store(x + i, mul(load(x + i), f));
  if (i < n) store_first(x + i, mul(load_first(x + i, n - i), f), n - i);
}

HG_TARGET static void add_arrays(const float* a, const float* b, float* y, std::int64_t n) {
  std::int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) store(y + i, add(load(a + i), load(b + i)));
  if (i < n) store_first(y + i, add(load_first(a + i, n - i), load_first(b + i, n - i)), n - i);
}

HG_TARGET static float sum(const float* x, std::int64_t n) {
  Vec s = zero();
  std::int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) s = add(s, load(x + i));
  if (i < n) s = add(s, load_first(x + i, n - i));  // the lanes beyond are zero
  return reduce_add(s);
}

HG_TARGET static void shift(const float* x, float* y, std::int64_t n, float by) {
  const Vec b = set1(by);
  std::int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) store(y + i, add(load(x + i), b));
  if (i < n) store_first(y + i, add(load_first(x + i, n - i), b), n - i);
}

HG_TARGET static void relu(float* x, std::int64_t n) {
  std::int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) store(x + i, max(load(x + i), zero()));
  if (i < n) store_first(x + i, max(load_first(x + i, n - i), zero()), n - i);
}

HG_TARGET static Vec gated(Vec gate, Vec up) {
  return mul(div(gate, add(set1(1.0f), exp(sub(zero(), gate)))), up);
}

HG_TARGET static void swiglu(const float* gate, const float* up, float* y, std::int64_t n) {
  std::int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) store(y + i, gated(load(gate + i), load(up + i)));
  if (i < n) store_first(y + i, gated(load_first(gate + i, n - i), load_first(up + i, n - i)), n - i);
}

HG_TARGET static float max_of(const float* x, std::int64_t n) {
  if (n < kWidth) {
    float best = x[0];
    for (std::int64_t i = 1; i < n; ++i) best = x[i] > best ? x[i] : best;
    return best;
  }
  Vec m0 = load(x + n - kWidth),
      m1 = m0;  // the last vector may overlap the one before: harmless for a maximum
  std::int64_t i = 0;
  for (; i + 2 * kWidth <= n; i += 2 * kWidth) {
    m0 = max(m0, load(x + i));
    m1 = max(m1, load(x + i + kWidth));
  }
  for (; i + kWidth <= n; i += kWidth) m0 = max(m0, load(x + i));
  return reduce_max(max(m0, m1));
}

HG_TARGET static float exp_sum(float* x, std::int64_t n, float shift) {
  const Vec s = set1(shift);
  Vec sum = zero();
  std::int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) {
    const Vec e = exp(sub(load(x + i), s));
    store(x + i, e);
    sum = add(sum, e);
  }
  float total = 0.0f;
  if (i < n) {
    store_first(x + i, exp(sub(load_first(x + i, n - i), s)), n - i);
    for (; i < n; ++i) total += x[i];
  }
  return total + reduce_add(sum);
}
