#include "runtime/kernels/attend.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "core/base/check.hpp"
#include "runtime/kernels/attend_int8.hpp"
#include "runtime/kernels/elementwise.hpp"
#include "runtime/kernels/half.hpp"
#include "runtime/kernels/isa.hpp"
#include "runtime/kernels/logits_amx.hpp"
#include "runtime/kernels/logits_tile.hpp"
#include "runtime/kernels/logits_wide.hpp"
#include "runtime/kernels/simd.hpp"
#include "runtime/kernels/weighted_amx.hpp"
#include "runtime/kernels/weighted_tile.hpp"

namespace hybridgen::kernels {

namespace scalar {

template <class T>
static void logits(const float* q, int group, int head_dim, const T* k, std::int64_t rows, float scale,
                   float* scores, std::int64_t stride) {
  for (int g = 0; g < group; ++g) {
    for (std::int64_t n = 0; n < rows; ++n) {
      float sum = 0.0f;
      for (int d = 0; d < head_dim; ++d) sum += q[g * head_dim + d] * to_float(k[n * head_dim + d]);
      scores[g * stride + n] = sum * scale;
    }
  }
}

template <class T>
static void weighted_v(const float* p, std::int64_t stride, int group, int head_dim, const T* v,
                       std::int64_t rows, float* out) {
  for (int g = 0; g < group; ++g) {
    for (std::int64_t n = 0; n < rows; ++n) {
      for (int d = 0; d < head_dim; ++d) {
        out[g * head_dim + d] += p[g * stride + n] * to_float(v[n * head_dim + d]);
      }
    }
  }
}

template <class T>
static void weighted_v_at(const float* p, const std::int32_t* index, std::int64_t count, int head_dim,
                          const T* v, float* out) {
  for (std::int64_t j = 0; j < count; ++j) {
    const T* row = v + static_cast<std::int64_t>(index[j]) * head_dim;
    for (int d = 0; d < head_dim; ++d) out[d] += p[j] * to_float(row[d]);
  }
}

}  // namespace scalar

namespace avx2 {
// The leading rows that were done the fast way.
template <class T>
static std::int64_t logits_of_many(const float* q, int group, int head_dim, const T* k, std::int64_t rows,
                                   float scale, float* scores, std::int64_t stride) {
  if (head_dim == 64) return logits_tiles<T, 64>(q, group, k, rows, scale, scores, stride);
  if (head_dim == 128) return logits_tiles<T, 128>(q, group, k, rows, scale, scores, stride);
  return 0;
}
template <class T>
static std::int64_t weighted_of_many(const float* p, std::int64_t stride, int group, int head_dim, const T* v,
                                     std::int64_t rows, float* out) {
  if (head_dim == 64) return weigh_streams<T, 64>(p, stride, group, v, rows, out), rows;
  if (head_dim == 128) return weigh_streams<T, 128>(p, stride, group, v, rows, out), rows;
  return 0;
}
#define HG_TARGET HG_TARGET_AVX2
#include "runtime/kernels/attend.inl"
#undef HG_TARGET
}  // namespace avx2

namespace avx512 {
// For few heads fp16 rows are widened and multiplied as fast as they are split for the tile unit; bf16 rows
// need no splitting.
template <class T>
static bool tiles_pay(int group, int least_for_half) {
  const int least = std::is_same_v<T, Bfloat> ? 1 : least_for_half;
  return active_isa() == Isa::amx && group >= least && group <= amx::kMostHeads;
}

template <class T>
static std::int64_t logits_of_many(const float* q, int group, int head_dim, const T* k, std::int64_t rows,
                                   float scale, float* scores, std::int64_t stride) {
  if constexpr (sizeof(T) == 2) {
    if (tiles_pay<T>(group, head_dim == 64 ? 5 : 8)) {
      if (head_dim == 64) return amx::logits<T, 64>(q, group, k, rows, scale, scores, stride);
      if (head_dim == 128) return amx::logits<T, 128>(q, group, k, rows, scale, scores, stride);
    }
    const auto go = [&](auto heads) {
      constexpr int kHeads = decltype(heads)::value;
      return head_dim == 64 ? logits_wide<T, kHeads, 64>(q, k, rows, scale, scores, stride)
                            : logits_wide<T, kHeads, 128>(q, k, rows, scale, scores, stride);
    };
    if (head_dim == 64 || head_dim == 128) {
      if (group == 5) return go(std::integral_constant<int, 5>());
      if (group == 6) return go(std::integral_constant<int, 6>());
      if (group == 7) return go(std::integral_constant<int, 7>());
      if (group == 8) return go(std::integral_constant<int, 8>());
    }
  }
  return 0;
}
template <class T>
static std::int64_t weighted_of_many(const float* p, std::int64_t stride, int group, int head_dim, const T* v,
                                     std::int64_t rows, float* out) {
  if constexpr (sizeof(T) == 2) {
    if (tiles_pay<T>(group, head_dim == 64 ? 5 : 7)) {
      if (head_dim == 64) return amx::weighted<T, 64>(p, stride, group, v, rows, out);
      if (head_dim == 128) return amx::weighted<T, 128>(p, stride, group, v, rows, out);
    }
  }
  return 0;
}
#define HG_TARGET HG_TARGET_AVX512
#include "runtime/kernels/attend.inl"
#undef HG_TARGET
}  // namespace avx512

namespace {

// The first head after `first` that has other host rows.
int same_rows(const HostRows* host, int first, int group) {
  int next = first + 1;
  while (next < group && host[next].v == host[first].v && host[next].count == host[first].count &&
         host[next].scores == host[next - 1].scores + host[first].count)
    ++next;
  return next;
}

void check_shape(int group, int head_dim) {
  HG_CHECK(group >= 1 && head_dim > 0 && head_dim % 16 == 0,
           "attention kernels need a head_dim that is a multiple of 16, not "
               << head_dim << ", and a group >= 1, not " << group);
}

template <class T>
void logits_as(const float* q, int group, int head_dim, const void* k, std::int64_t rows, float scale,
               float* scores, std::int64_t stride) {
  pick(scalar::logits<T>, avx2::logits<T>, avx512::logits<T>)(q, group, head_dim, static_cast<const T*>(k),
                                                              rows, scale, scores, stride);
}

template <class T>
void weighted_v_as(const float* p, std::int64_t stride, int group, int head_dim, const void* v,
                   std::int64_t rows, float* out) {
  pick(scalar::weighted_v<T>, avx2::weighted_v<T>, avx512::weighted_v<T>)(
      p, stride, group, head_dim, static_cast<const T*>(v), rows, out);
}

template <class T>
void weighted_v_at_as(const float* p, const std::int32_t* index, std::int64_t count, int head_dim,
                      const void* v, float* out) {
  pick(scalar::weighted_v_at<T>, avx2::weighted_v_at<T>, avx512::weighted_v_at<T>)(
      p, index, count, head_dim, static_cast<const T*>(v), out);
}

}  // namespace

void logits(KvType type, const float* q, int group, int head_dim, const void* k, std::int64_t rows,
            float scale, float* scores, std::int64_t stride) {
  check_shape(group, head_dim);
  if (type == KvType::f16) return logits_as<Half>(q, group, head_dim, k, rows, scale, scores, stride);
  if (type == KvType::bf16) return logits_as<Bfloat>(q, group, head_dim, k, rows, scale, scores, stride);
  if (type == KvType::int8) return logits_int8(q, group, head_dim, k, rows, scale, scores, stride);
  logits_as<float>(q, group, head_dim, k, rows, scale, scores, stride);
}

void weighted_v(KvType type, const float* p, std::int64_t stride, int group, int head_dim, const void* v,
                std::int64_t rows, float* out) {
  check_shape(group, head_dim);
  if (type == KvType::f16) return weighted_v_as<Half>(p, stride, group, head_dim, v, rows, out);
  if (type == KvType::bf16) return weighted_v_as<Bfloat>(p, stride, group, head_dim, v, rows, out);
  if (type == KvType::int8) return weighted_v_int8(p, stride, group, head_dim, v, rows, out);
  weighted_v_as<float>(p, stride, group, head_dim, v, rows, out);
}

void weighted_v_at(KvType type, const float* p, const std::int32_t* index, std::int64_t count, int head_dim,
                   const void* v, float* out) {
  check_shape(1, head_dim);
  if (type == KvType::f16) return weighted_v_at_as<Half>(p, index, count, head_dim, v, out);
  if (type == KvType::bf16) return weighted_v_at_as<Bfloat>(p, index, count, head_dim, v, out);
  if (type == KvType::int8) return weighted_v_at_int8(p, index, count, head_dim, v, out);
  weighted_v_at_as<float>(p, index, count, head_dim, v, out);
}

void attend(KvType type, const float* q, int group, int head_dim, const KvSpan* spans, int span_count,
            float scale_factor, float* scratch, float* out, float* lse) {
  std::int64_t rows = 0;
  for (int s = 0; s < span_count; ++s) rows += spans[s].count;
  std::fill_n(out, static_cast<std::int64_t>(group) * head_dim, 0.0f);
  if (rows == 0) {
    if (lse) std::fill_n(lse, group, -std::numeric_limits<float>::infinity());
    return;
  }
  const std::int64_t stride = rows + kScorePad;
  float* factor = scratch + group * stride;
  std::int64_t begin = 0;
  for (int s = 0; s < span_count; ++s) {
    logits(type, q, group, head_dim, spans[s].k, spans[s].count, scale_factor, scratch + begin, stride);
    begin += spans[s].count;
  }
  for (int g = 0; g < group; ++g) {
    const float top = max_of(scratch + g * stride, rows);
    const float sum = exp_sum(scratch + g * stride, rows, top);
    if (lse) lse[g] = top + std::log(sum);
    factor[g] = 1.0f / sum;
  }
  begin = 0;
  for (int s = 0; s < span_count; ++s) {
    weighted_v(type, scratch + begin, stride, group, head_dim, spans[s].v, spans[s].count, out);
    begin += spans[s].count;
  }
  // Here, not on every weight: one pass over the scores less.
  for (int g = 0; g < group; ++g) scale(out + g * head_dim, head_dim, factor[g]);
}

void merge_partials(int group, int head_dim, float* out, float* lse, const float* other_out,
                    const float* other_lse) {
  for (int g = 0; g < group; ++g) {
    const float top = std::max(lse[g], other_lse[g]);
    if (top == -std::numeric_limits<float>::infinity()) continue;  // neither side has rows
    const float mine = std::exp(lse[g] - top);
    const float others = std::exp(other_lse[g] - top);
    const float sum = mine + others;
    for (int d = g * head_dim; d < (g + 1) * head_dim; ++d) {
      out[d] = (mine * out[d] + others * other_out[d]) / sum;
    }
    lse[g] = top + std::log(sum);
  }
}

void joint_attend(KvType type, int group, int head_dim, const RowSpan* v_spans, int span_count,
                  float* device_scores, std::int64_t stride, const HostRows* host, float* out, float* lse) {
  std::int64_t rows = 0;
  for (int s = 0; s < span_count; ++s) rows += v_spans[s].count;
  std::fill_n(out, static_cast<std::int64_t>(group) * head_dim, 0.0f);
  for (int g = 0; g < group; ++g) {
    float* device = device_scores + g * stride;
    HG_CHECK(rows + host[g].count > 0, "joint_attend: query head " << g << " has no row to attend to");
    float top = -std::numeric_limits<float>::infinity();
    if (rows > 0) top = max_of(device, rows);
    if (host[g].count > 0) top = std::max(top, max_of(host[g].scores, host[g].count));
    const float sum = exp_sum(device, rows, top) + exp_sum(host[g].scores, host[g].count, top);
    scale(device, rows, 1.0f / sum);
    scale(host[g].scores, host[g].count, 1.0f / sum);
    if (lse) lse[g] = top + std::log(sum);
  }
  for (int g = 0, next = 0; g < group; g = next) {
    next = same_rows(host, g, group);
    weighted_v(type, host[g].scores, host[g].count, next - g, head_dim, host[g].v, host[g].count,
               out + g * head_dim);
  }
  std::int64_t begin = 0;
  for (int s = 0; s < span_count; ++s) {
    weighted_v(type, device_scores + begin, stride, group, head_dim, v_spans[s].rows, v_spans[s].count, out);
    begin += v_spans[s].count;
  }
}

double tile_unit_error(KvType type, double sizes) {
  const bool in_parts = type == KvType::f16 || type == KvType::bf16;
  return active_isa() == Isa::amx && in_parts ? std::ldexp(sizes, -18) : 0;
}

}  // namespace hybridgen::kernels
