// Random numbers that depend on what they are for and on a seed alone, in integers: equal on every platform,
// and whatever was drawn before.
#pragma once

#include <cstdint>
#include <initializer_list>

namespace hybridgen {

// The finalizer of splitmix64.
constexpr std::uint64_t mixed(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

// 64 bits for these numbers.
constexpr std::uint64_t seeded_draw(std::uint64_t seed, std::initializer_list<std::int64_t> numbers) {
  for (const std::int64_t number : numbers) {
    seed = mixed(seed + 0x9e3779b97f4a7c15ULL + static_cast<std::uint64_t>(number));
  }
  return seed;
}

// A number in [0, range), the bias of the remainder far below a millionth.
constexpr std::int64_t below(std::uint64_t bits, std::int64_t range) {
  return static_cast<std::int64_t>(bits % static_cast<std::uint64_t>(range));
}

}  // namespace hybridgen
