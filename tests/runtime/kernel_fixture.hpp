// What the kernel tests share: every supported instruction set in turn, seeded data, buffers with guards.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "runtime/kernels/half.hpp"
#include "runtime/kernels/isa.hpp"
#include "runtime/kernels/kv_type.hpp"

namespace hybridgen::kernels {

// Names a test's parameter in ctest's list.
inline void PrintTo(Isa isa, std::ostream* out) {
  *out << name_of(isa);
}

class KernelTest : public ::testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    if (!supports(GetParam())) GTEST_SKIP() << "this machine has no " << name_of(GetParam());
    force_isa(GetParam());
  }
  void TearDown() override { force_isa(std::nullopt); }

  std::vector<float> random_floats(std::int64_t n, float size = 1.0f) {
    std::uniform_real_distribution<float> uniform(-size, size);
    std::vector<float> values(static_cast<std::size_t>(n));
    for (float& x : values) x = uniform(random_);
    return values;
  }
  std::int64_t random_int(std::int64_t low, std::int64_t high) {
    return std::uniform_int_distribution<std::int64_t>(low, high)(random_);
  }

  std::mt19937 random_{20240607};
};

inline std::string isa_name(const ::testing::TestParamInfo<Isa>& info) {
  return name_of(info.param);
}

#define HG_FOR_EVERY_ISA(suite)             \
  INSTANTIATE_TEST_SUITE_P(EveryIsa, suite, \
                           ::testing::Values(Isa::scalar, Isa::avx2, Isa::avx512, Isa::amx), isa_name)

// n values between guards; an odd offset, so that nothing can rely on alignment beyond the element's.
template <class T>
class Guarded {
 public:
  explicit Guarded(std::int64_t n) : size_(static_cast<std::size_t>(n)) {
    storage_.resize(size_ + 2 * kGuard);
    std::memset(static_cast<void*>(storage_.data()), kPattern, storage_.size() * sizeof(T));
  }
  T* data() { return storage_.data() + kGuard; }
  T& operator[](std::int64_t i) { return data()[i]; }
  bool intact() const {
    const auto* bytes = reinterpret_cast<const unsigned char*>(storage_.data());
    const std::size_t guard = kGuard * sizeof(T), body = size_ * sizeof(T);
    const auto ok = [](unsigned char b) { return b == kPattern; };
    return std::all_of(bytes, bytes + guard, ok) &&
           std::all_of(bytes + guard + body, bytes + 2 * guard + body, ok);
  }
  // Nothing was written to element i yet.
  bool untouched(std::int64_t i) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(data() + i);
    return std::all_of(bytes, bytes + sizeof(T), [](unsigned char b) { return b == kPattern; });
  }

 private:
  static constexpr std::size_t kGuard = 33;
  static constexpr unsigned char kPattern = 0xa5;
  std::size_t size_;
  std::vector<T> storage_;
};

// KV rows of any type: as stored, and exactly as the kernels must read them.
struct Rows {
  std::vector<std::byte> bytes;
  std::vector<double> values;
  const void* data() const { return bytes.data(); }
};

// Written apart from the kernels: the largest is 127 steps, a step is the scale behind the row.
inline Rows make_int8_rows(int head_dim, const std::vector<float>& from) {
  const auto dims = static_cast<std::size_t>(head_dim);
  Rows rows;
  for (std::size_t begin = 0; begin < from.size(); begin += dims) {
    float largest = 0;
    for (std::size_t d = 0; d < dims; ++d) largest = std::max(largest, std::fabs(from[begin + d]));
    const float step = largest / 127;
    for (std::size_t d = 0; d < dims; ++d) {
      const double steps = std::nearbyint(double{from[begin + d]} / step);
      rows.bytes.push_back(static_cast<std::byte>(static_cast<std::int8_t>(steps)));
      rows.values.push_back(steps * step);
    }
    rows.bytes.resize(rows.bytes.size() + sizeof step);
    std::memcpy(rows.bytes.data() + rows.bytes.size() - sizeof step, &step, sizeof step);
  }
  return rows;
}

inline Rows make_rows(KvType type, int head_dim, const std::vector<float>& from) {
  if (type == KvType::int8) return make_int8_rows(head_dim, from);
  Rows rows;
  rows.bytes.resize(from.size() * static_cast<std::size_t>(row_bytes(type, 1)));
  for (std::size_t i = 0; i < from.size(); ++i) {
    if (type == KvType::f16) {
      const Half half = to_half(from[i]);
      std::memcpy(rows.bytes.data() + 2 * i, &half, 2);
      rows.values.push_back(to_float(half));
    } else if (type == KvType::bf16) {
      const Bfloat stored = to_bfloat(from[i]);
      std::memcpy(rows.bytes.data() + 2 * i, &stored, 2);
      rows.values.push_back(to_float(stored));
    } else {
      std::memcpy(rows.bytes.data() + 4 * i, &from[i], 4);
      rows.values.push_back(from[i]);
    }
  }
  return rows;
}

}  // namespace hybridgen::kernels
