// Bodies of the selection's passes for one instruction set; see simd.hpp.

// How many of the values are >= least.
HG_TARGET static std::int64_t count_at_least(const float* values, std::int64_t n, float least) {
  const Vec bar = set1(least);
  std::int64_t i = 0, count = 0;
#if HG_WIDTH == 16
  for (; i < n; i += kWidth) {
    const __mmask16 present = n - i >= kWidth ? static_cast<__mmask16>(0xffff) : first(n - i);
    const Vec x = _mm512_maskz_loadu_ps(present, values + i);
    count += __builtin_popcount(_mm512_mask_cmp_ps_mask(present, x, bar, _CMP_GE_OQ));
  }
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

// The scores >= least and their indices, in order; scores[i] has index from[i], or i where from is null.
// Touches no more of the targets than it returns. Without a branch that depends on the scores: about one
// vector in two has a candidate, which nothing predicts.
HG_TARGET static std::int64_t collect(const float* scores, const std::int32_t* from, std::int64_t n, float least,
                                      std::int32_t* indices, float* values) {
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
    _mm512_mask_storeu_epi32(indices + found, first(count), _mm512_maskz_compress_epi32(good, which));
    _mm512_mask_storeu_ps(values + found, first(count), _mm512_maskz_compress_ps(good, x));
    found += count;
    index = _mm512_add_epi32(index, _mm512_set1_epi32(kWidth));
  }
#else
  const Vec bar = set1(least);
  for (; i + kWidth <= n; i += kWidth) {
    auto good = static_cast<unsigned>(_mm256_movemask_ps(_mm256_cmp_ps(load(scores + i), bar, _CMP_GE_OQ)));
    for (; good; good &= good - 1, ++found) {
      const std::int64_t at = i + __builtin_ctz(good);
      indices[found] = from ? from[at] : static_cast<std::int32_t>(at);
      values[found] = scores[at];
    }
  }
  for (; i < n; ++i) {
    if (!(scores[i] >= least)) continue;
    indices[found] = from ? from[i] : static_cast<std::int32_t>(i);
    values[found++] = scores[i];
  }
#endif
  return found;
}
