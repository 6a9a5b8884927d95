#include "runtime/host/host_ops.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <numeric>

#include "core/base/check.hpp"
#include "runtime/kernels/attend.hpp"
#include "runtime/kernels/pack.hpp"
#include "runtime/kernels/select.hpp"

namespace hybridgen {
namespace {

constexpr std::int64_t kScanGrain = 256;  // tokens: long enough that a thread streams

}  // namespace

HostOps::HostOps(const ModelShape& shape, const MemoryPlan& plan)
    : shape_(shape),
      plan_(plan),
      kv_type_(plan.kv_dtype == KvDtype::f16 ? kernels::KvType::f16 : kernels::KvType::f32),
      head_row_(shape.head_dim * bytes_of(plan.kv_dtype)),
      scale_(1.0F / std::sqrt(static_cast<float>(shape.head_dim))) {}

std::size_t HostOps::select_scratch(const SlotPlan& slot, int threads) {
  return static_cast<std::size_t>(threads * kernels::select_scratch(slot.host_tokens));
}

std::int64_t HostOps::run(const OpContext& context, RequestBuffers& request) const {
  switch (context.op.kind) {
    case OpKind::host_logits:
      host_logits(context, request);
      return 0;
    case OpKind::select:
      return select(context, request);
    case OpKind::pack_rows:
      pack_rows(context, request);
      return 0;
    default:
      HG_CHECK(false,
               "op " << context.op.id.value << " (" << name_of(context.op.kind) << ") is none of the host's");
  }
  return 0;
}

void HostOps::host_logits(const OpContext& context, RequestBuffers& request) const {
  const int group = shape_.group();
  const RowStore& keys = request.host_k(context.op.layer);
  const Tokens first = context.op.work.first_token;
  std::atomic<std::int64_t> walked{0};  // rows of one head, over all heads
  context.team.parallel(context.op.work.tokens, kScanGrain, [&](int, std::int64_t begin, std::int64_t end) {
    for (int head = 0; head < shape_.kv_heads; ++head) {
      kernels::logits(kv_type_, request.query + static_cast<std::int64_t>(head) * group * shape_.head_dim,
                      group, shape_.head_dim, keys.head(head, head_row_) + (first + begin) * head_row_,
                      end - begin, scale_,
                      request.host_scores + head * group * request.size().host_tokens + begin,
                      request.size().host_tokens);
      walked += end - begin;
    }
  });
  context.bytes.access(plan_.host_k_tier, walked * head_row_);
}

std::int64_t HostOps::select(const OpContext& context, RequestBuffers& request) const {
  const Work& work = context.op.work;
  const std::int64_t bound = std::min(work.rows_per_head, work.tokens);
  const std::int64_t stride = request.size().exchange_rows_per_head;
  // Each head writes at its bound; closing the gaps afterwards lets the transfer be one copy.
  context.team.parallel(shape_.query_heads, 1, [&](int thread, std::int64_t begin, std::int64_t end) {
    std::uint32_t* scratch =
        request.scratch.data() + thread * kernels::select_scratch(request.size().host_tokens);
    for (std::int64_t head = begin; head < end; ++head) {
      const float* scores = request.host_scores + head * request.size().host_tokens;
      std::int32_t* rows = request.rows + head * stride;
      float* chosen = request.chosen_scores + head * stride;
      std::int64_t& count = request.counts[static_cast<std::size_t>(head)];
      if (work.rule == SelectRule::threshold) {
        count = kernels::select_threshold(scores, work.tokens, static_cast<float>(work.alpha_milli) / 1000.0F,
                                          bound, scratch, rows, chosen);
      } else if (bound < work.tokens) {
        count = kernels::select_top_k(scores, work.tokens, bound, scratch, rows, chosen);
      } else {
        std::iota(rows, rows + work.tokens, 0);
        std::copy_n(scores, work.tokens, chosen);
        count = work.tokens;
      }
    }
  });
  std::int64_t total = 0;
  for (std::int64_t head = 0; head < shape_.query_heads; ++head) {
    const std::int64_t count = request.counts[static_cast<std::size_t>(head)];
    std::copy_n(request.chosen_scores + head * stride, count, request.chosen_scores + total);
    total += count;
  }
  return context.op.produces.valid() ? total : 0;
}

void HostOps::pack_rows(const OpContext& context, RequestBuffers& request) const {
  const int group = shape_.group();
  const std::int64_t stride = request.size().exchange_rows_per_head;
  const RowStore& values = request.host_v(context.op.layer);
  const Tokens first = context.op.work.first_token;  // the chosen rows count from here
  std::vector<std::int64_t> offsets(request.counts.size() + 1);
  std::partial_sum(request.counts.begin(), request.counts.end(), offsets.begin() + 1);
  context.team.parallel(shape_.query_heads, 1, [&](int, std::int64_t begin, std::int64_t end) {
    for (std::int64_t head = begin; head < end; ++head) {
      const auto index = static_cast<std::size_t>(head);
      const kernels::RowSpan span{values.head(static_cast<int>(head) / group, head_row_) + first * head_row_,
                                  values.slots - first};
      kernels::pack_rows(kv_type_, shape_.head_dim, &span, 1, request.rows + head * stride,
                         request.counts[index], request.packed + offsets[index] * head_row_);
    }
  });
  context.bytes.access(plan_.host_v_tier, offsets.back() * head_row_);
  context.bytes.access(plan_.host_k_tier, offsets.back() * head_row_);
}

}  // namespace hybridgen
