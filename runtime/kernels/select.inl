// Body of collect for one instruction set; see simd.hpp. Writes up to kWidth - 1 words behind the last
// candidate.

#if HG_WIDTH == 16
HG_TARGET static std::int64_t collect(const float* scores, std::int64_t n, float least,
                                      std::uint32_t* indices, std::uint32_t* values) {
  const Vec bar = set1(least);
  __m512i index = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  std::int64_t found = 0;
  for (std::int64_t i = 0; i < n; i += kWidth) {
    const __mmask16 present = n - i >= kWidth ? static_cast<__mmask16>(0xffff) : first(n - i);
    const Vec x = _mm512_maskz_loadu_ps(present, scores + i);
    const __mmask16 good = _mm512_mask_cmp_ps_mask(present, x, bar, _CMP_GE_OQ);
    if (good) {  // compress in a register: the form that writes memory is microcoded on some processors
      _mm512_storeu_si512(indices + found, _mm512_maskz_compress_epi32(good, index));
      _mm512_storeu_si512(values + found, _mm512_maskz_compress_epi32(good, _mm512_castps_si512(x)));
      found += __builtin_popcount(good);
    }
    index = _mm512_add_epi32(index, _mm512_set1_epi32(kWidth));
  }
  return found;
}
#else
HG_TARGET static std::int64_t collect(const float* scores, std::int64_t n, float least,
                                      std::uint32_t* indices, std::uint32_t* values) {
  const Vec bar = set1(least);
  std::int64_t found = 0;
  std::int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) {
    auto good = static_cast<unsigned>(_mm256_movemask_ps(_mm256_cmp_ps(load(scores + i), bar, _CMP_GE_OQ)));
    for (; good; good &= good - 1) {
      const std::int64_t at = i + __builtin_ctz(good);
      indices[found] = static_cast<std::uint32_t>(at);
      std::memcpy(values + found, scores + at, sizeof(float));
      ++found;
    }
  }
  for (; i < n; ++i) {
    if (!(scores[i] >= least)) continue;
    indices[found] = static_cast<std::uint32_t>(i);
    std::memcpy(values + found, scores + i, sizeof(float));
    ++found;
  }
  return found;
}
#endif
