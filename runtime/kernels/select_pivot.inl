// Body of find_pivot, for one instruction set or the scalar one: beside its count_at_least and extremes, so that
// they are inlined.

// A value that k (1 <= k <= n) to k + slack values reach; where ties allow none, the one of rank k. Halves
// the range of keys between the extremes: at most 32 counts, about ten for k among a few hundred values.
HG_TARGET static Pivot find_pivot(const float* values, std::int64_t n, std::int64_t k, std::int64_t slack) {
  const Extremes range = extremes(values, n);
  std::uint32_t low = key_of(range.least), high = key_of(range.most);
  std::int64_t count = n;  // that reach `low`; fewer than k reach any key above `high`
  while (low < high && count > k + slack) {
    const std::uint32_t middle = low + (high - low) / 2 + 1;
    const std::int64_t reach = count_at_least(values, n, value_of(middle));
    if (reach >= k) {
      low = middle;
      count = reach;
    } else {
      high = middle - 1;
    }
  }
  return {value_of(low), count};
}
