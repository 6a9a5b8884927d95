#include "runtime/kernels/attend_kept.hpp"

#include <algorithm>

#include "core/base/check.hpp"
#include "runtime/kernels/elementwise.hpp"

namespace hybridgen::kernels {

void attend_kept(KvType type, const float* q, const float* sink_q, std::int64_t sinks, int group,
                 int head_dim, const KvSpan& rows, float scale_factor, float* scratch, float* out,
                 float* mass) {
  HG_CHECK(rows.count > 0 && sinks <= rows.count, sinks << " sinks among " << rows.count << " rows");
  const std::int64_t stride = rows.count + kScorePad;
  logits(type, q, group, head_dim, rows.k, rows.count, scale_factor, scratch, stride);
  if (sink_q != nullptr) logits(type, sink_q, group, head_dim, rows.k, sinks, scale_factor, scratch, stride);
  for (int g = 0; g < group; ++g) {
    float* weights = scratch + g * stride;
    softmax(weights, rows.count);
    if (mass != nullptr) add(mass, weights, mass, rows.count);
  }
  std::fill_n(out, static_cast<std::int64_t>(group) * head_dim, 0.0F);
  weighted_v(type, scratch, stride, group, head_dim, rows.v, rows.count, out);
}

}  // namespace hybridgen::kernels
