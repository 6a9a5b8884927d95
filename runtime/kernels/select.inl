// Bodies of the selection's passes for one instruction set; see simd.hpp.

// How many of the values are >= least.
HG_TARGET static inline std::int64_t count_at_least(const float* values, std::int64_t n, float least) {
  const Vec bar = set1(least);
  std::int64_t i = 0, count = 0;
#if HG_WIDTH == 16
  std::int64_t second = 0;
  for (; i + 2 * kWidth <= n; i += 2 * kWidth) {
    count += __builtin_popcount(_mm512_cmp_ps_mask(load(values + i), bar, _CMP_GE_OQ));
    second += __builtin_popcount(_mm512_cmp_ps_mask(load(values + i + kWidth), bar, _CMP_GE_OQ));
  }
  for (; i < n; i += kWidth) {
    const __mmask16 present = n - i >= kWidth ? static_cast<__mmask16>(0xffff) : first(n - i);
    const Vec x = _mm512_maskz_loadu_ps(present, values + i);
    count += __builtin_popcount(_mm512_mask_cmp_ps_mask(present, x, bar, _CMP_GE_OQ));
  }
  count += second;
#else
  __m256i counts = _mm256_setzero_si256();
  for (; i + kWidth <= n; i += kWidth) {
    counts = _mm256_sub_epi32(counts, _mm256_castps_si256(_mm256_cmp_ps(load(values + i), bar, _CMP_GE_OQ)));
  }
  alignas(32) std::int32_t lanes[kWidth];
  _mm256_store_si256(reinterpret_cast<__m256i*>(lanes), counts);
  for (const std::int32_t lane : lanes) count += lane;
  for (; i < n; ++i) count += values[i] >= least ? 1 : 0;
#endif
  return count;
}

// The smallest and the largest value; n > 0.
HG_TARGET static inline Extremes extremes(const float* values, std::int64_t n) {
  Extremes found{values[0], values[0]};
  std::int64_t i = 0;
  if (n >= kWidth) {
    // The last vector overlaps the one before it: harmless here.
    Vec least = load(values + n - kWidth), most = least;
    for (; i + kWidth <= n; i += kWidth) {
      const Vec x = load(values + i);
      least = min(least, x);
      most = max(most, x);
    }
    return {reduce_min(least), reduce_max(most)};
  }
  for (; i < n; ++i) found = {values[i] < found.least ? values[i] : found.least,
                              values[i] > found.most ? values[i] : found.most};
  return found;
}

// The scores >= least and their indices, in order; scores[i] has index from[i], or i where from is null.
// The targets have `room` for all of them, and may be written to up to there. Without a branch that depends on the scores: about one
// vector in two has a candidate, which nothing predicts.
HG_TARGET static std::int64_t collect(const float* scores, const std::int32_t* from, std::int64_t n, float least,
                                      std::int32_t* indices, float* values, [[maybe_unused]] std::int64_t room) {
  std::int64_t found = 0, i = 0;
#if HG_WIDTH == 16
  const Vec bar = set1(least);
  __m512i index = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  for (; i < n; i += kWidth) {
    const __mmask16 present = n - i >= kWidth ? static_cast<__mmask16>(0xffff) : first(n - i);
    const Vec x = _mm512_maskz_loadu_ps(present, scores + i);
    const __mmask16 good = _mm512_mask_cmp_ps_mask(present, x, bar, _CMP_GE_OQ);
    const int count = __builtin_popcount(good);
    const __m512i which = from ? _mm512_maskz_loadu_epi32(present, from + i) : index;
    // Compressed in a register: the form that writes memory is microcoded on some processors.
    const __m512i good_index = _mm512_maskz_compress_epi32(good, which);
    const Vec good_value = _mm512_maskz_compress_ps(good, x);
    if (found + kWidth <= room) {
      _mm512_storeu_si512(indices + found, good_index);
      _mm512_storeu_ps(values + found, good_value);
    } else {
      _mm512_mask_storeu_epi32(indices + found, first(count), good_index);
      _mm512_mask_storeu_ps(values + found, first(count), good_value);
    }
    found += count;
    index = _mm512_add_epi32(index, _mm512_set1_epi32(kWidth));
  }
#else
  const Vec bar = set1(least);
  constexpr int kBlock = 64, kAlways = 8;
  const auto take = [&](std::int64_t to, std::int64_t at) {
    indices[to] = from ? from[at] : static_cast<std::int32_t>(at);
    values[to] = scores[at];
  };
  for (; i + kBlock <= n; i += kBlock) {
    std::uint64_t good = 0;
#pragma GCC unroll 8
    for (int j = 0; j < kBlock; j += kWidth) {
      const Vec reach = _mm256_cmp_ps(load(scores + i + j), bar, _CMP_GE_OQ);
      good |= static_cast<std::uint64_t>(static_cast<unsigned>(_mm256_movemask_ps(reach))) << j;
    }
    const int count = __builtin_popcountll(good);
    int taken = 0;
    if (found + kAlways <= room) {
      // Eight whether there are or not: how many there are, nothing predicts. Of none, the last of the block.
#pragma GCC unroll 8
      for (; taken < kAlways; ++taken, good &= good - 1) {
        take(found + taken, i + __builtin_ctzll(good | std::uint64_t{1} << (kBlock - 1)));
      }
    }
    for (; taken < count; ++taken, good &= good - 1) take(found + taken, i + __builtin_ctzll(good));
    found += count;
  }
  for (; i < n; ++i) {
    if (!(scores[i] >= least)) continue;
    indices[found] = from ? from[i] : static_cast<std::int32_t>(i);
    values[found++] = scores[i];
  }
#endif
  return found;
}

HG_TARGET static void best_margins(const float* scores, std::int64_t stride, int heads, std::int64_t n, const float* most,
                                   float* margins) {
  std::int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) {
    Vec best = sub(load(scores + i), set1(most[0]));
    for (int head = 1; head < heads; ++head) best = max(best, sub(load(scores + head * stride + i), set1(most[head])));
    store(margins + i, best);
  }
  for (; i < n; ++i) {
    margins[i] = scores[i] - most[0];
    for (int head = 1; head < heads; ++head) {
      const float margin = scores[head * stride + i] - most[head];
      margins[i] = margin > margins[i] ? margin : margins[i];
    }
  }
}
