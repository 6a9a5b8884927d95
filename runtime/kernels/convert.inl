// Body of convert for one instruction set; see simd.hpp.

template <class From, class To>
HG_TARGET static void convert(const From* from, To* to, std::int64_t count) {
  std::int64_t i = 0;
  for (; i + kWidth <= count; i += kWidth) store(to + i, load(from + i));
  if (i < count) store_first(to + i, load_first(from + i, count - i), count - i);
}
