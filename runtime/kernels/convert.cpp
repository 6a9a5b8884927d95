#include "runtime/kernels/convert.hpp"

#include <cstring>

#include "runtime/kernels/half.hpp"
#include "runtime/kernels/int8_rows.hpp"
#include "runtime/kernels/isa.hpp"
#include "runtime/kernels/simd.hpp"

namespace hybridgen::kernels {

namespace scalar {
static void to_fp32(const Half* from, float* to, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) to[i] = to_float(from[i]);
}
static void from_bf16(const Bfloat* from, float* to, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) to[i] = to_float(from[i]);
}
static void to_bf16(const float* from, Bfloat* to, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) to[i] = to_bfloat(from[i]);
}
static void to_fp16(const float* from, Half* to, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) to[i] = to_half(from[i]);
}
}  // namespace scalar

namespace avx2 {
#define HG_TARGET HG_TARGET_AVX2
#include "runtime/kernels/convert.inl"
#undef HG_TARGET
}  // namespace avx2

namespace avx512 {
#define HG_TARGET HG_TARGET_AVX512
#include "runtime/kernels/convert.inl"
#undef HG_TARGET
}  // namespace avx512

void convert(const Half* from, float* to, std::int64_t count) {
  pick(scalar::to_fp32, avx2::convert<Half, float>, avx512::convert<Half, float>)(from, to, count);
}

void convert(const float* from, Half* to, std::int64_t count) {
  pick(scalar::to_fp16, avx2::convert<float, Half>, avx512::convert<float, Half>)(from, to, count);
}

void convert(const Bfloat* from, float* to, std::int64_t count) {
  pick(scalar::from_bf16, avx2::convert<Bfloat, float>, avx512::convert<Bfloat, float>)(from, to, count);
}

void convert(const float* from, Bfloat* to, std::int64_t count) {
  pick(scalar::to_bf16, avx2::convert<float, Bfloat>, avx512::convert<float, Bfloat>)(from, to, count);
}

void load_rows(KvType type, int head_dim, const void* from, float* to, std::int64_t rows) {
  const std::int64_t elements = rows * head_dim;
  if (type == KvType::f16) return convert(static_cast<const Half*>(from), to, elements);
  if (type == KvType::bf16) return convert(static_cast<const Bfloat*>(from), to, elements);
  if (type == KvType::int8) return load_int8(head_dim, from, to, rows);
  std::memcpy(to, from, static_cast<std::size_t>(elements) * sizeof(float));
}

void store_rows(KvType type, int head_dim, const float* from, void* to, std::int64_t rows) {
  const std::int64_t elements = rows * head_dim;
  if (type == KvType::f16) return convert(from, static_cast<Half*>(to), elements);
  if (type == KvType::bf16) return convert(from, static_cast<Bfloat*>(to), elements);
  if (type == KvType::int8) return store_int8(head_dim, from, to, rows);
  std::memcpy(to, from, static_cast<std::size_t>(elements) * sizeof(float));
}

}  // namespace hybridgen::kernels
