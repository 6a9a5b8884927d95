#include "runtime/host/page_ops.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "core/base/check.hpp"
#include "runtime/host/kv_type_of.hpp"
#include "runtime/kernels/attend.hpp"
#include "runtime/kernels/page_bounds.hpp"
#include "runtime/kernels/select.hpp"

namespace hybridgen {

PageOps::PageOps(const ModelShape& shape, const MemoryPlan& plan, int threads)
    : shape_(shape),
      plan_(plan),
      kv_type_(kv_type_of(plan.kv_dtype)),
      head_row_(head_row_bytes(shape, plan.kv_dtype)),
      head_bounds_(head_bounds_bytes(shape, plan.kv_dtype)),
      scale_(1.0F / std::sqrt(static_cast<float>(shape.head_dim))) {
  if (plan.pages == 0) return;
  const std::int64_t floats = std::max(kernels::page_scratch(shape.group(), shape.head_dim),
                                       kernels::attend_scratch(1, plan.segment_tokens));
  scratch_.resize(static_cast<std::size_t>(threads));
  for (Scratch& each : scratch_) {
    each.floats.resize(static_cast<std::size_t>(floats));
    each.words.resize(static_cast<std::size_t>(kernels::select_scratch(plan.pages)));
    each.spans.reserve(static_cast<std::size_t>(plan.pages));
  }
}

void PageOps::run(const OpContext& context, RequestBuffers& request, const DeviceRow& row) {
  switch (context.op.kind) {
    case OpKind::page_bounds:
      return page_bounds(context, request);
    case OpKind::select_pages:
      return select_pages(context, request, row);
    case OpKind::attend_pages:
      return attend_pages(context, request, row);
    default:
      HG_CHECK(false,
               "op " << context.op.id.value << " (" << name_of(context.op.kind) << ") is none of pages");
  }
}

void PageOps::page_bounds(const OpContext& context, RequestBuffers& request) {
  const Work& work = context.op.work;
  const RowStore& keys = request.device_k(KvPlace::segment, context.op.layer, 0);
  const RowStore& bounds = request.page_bounds(context.op.layer);
  const Tokens end = work.first_token + work.tokens;
  std::atomic<Bytes> moved{0};
  context.team.parallel(shape_.kv_heads, 1, [&](int thread, std::int64_t begin, std::int64_t stop) {
    float* scratch = scratch_[static_cast<std::size_t>(thread)].floats.data();
    for (std::int64_t head = begin; head < stop; ++head) {
      for (Tokens at = work.first_token; at < end;) {
        const Tokens page = at / plan_.page_tokens;
        const Tokens rows = std::min(end, (page + 1) * plan_.page_tokens) - at;
        const bool fresh = at % plan_.page_tokens == 0;
        kernels::extend_page(
            kv_type_, shape_.head_dim, keys.head(static_cast<int>(head), head_row_) + at * head_row_, rows,
            fresh, scratch, bounds.head(static_cast<int>(head), head_bounds_) + page * head_bounds_);
        moved += rows * head_row_ + (fresh ? 1 : 2) * head_bounds_;  // written, and read where begun before
        at += rows;
      }
    }
  });
  context.bytes.access(plan_.device_tier, moved);
}

void PageOps::select_pages(const OpContext& context, RequestBuffers& request, const DeviceRow& row) {
  const std::int64_t pages = context.op.work.tokens / plan_.page_tokens;
  const std::int64_t chosen = context.op.work.rows_per_head / plan_.page_tokens;
  const RowStore& bounds = request.page_bounds(context.op.layer);
  const std::int64_t stride = bounds.slots;
  const int group = shape_.group();
  std::atomic<std::int64_t> walked{0};  // pages of one head, over all heads
  context.team.parallel(shape_.kv_heads, 1, [&](int thread, std::int64_t begin, std::int64_t end) {
    Scratch& scratch = scratch_[static_cast<std::size_t>(thread)];
    for (std::int64_t head = begin; head < end; ++head) {
      float* scores = request.page_scores + head * group * stride;
      kernels::page_scores(kv_type_, row.query + head * group * shape_.head_dim, group, shape_.head_dim,
                           bounds.head(static_cast<int>(head), head_bounds_), pages, scratch.floats.data(),
                           scores, stride);
      walked += pages;
      for (int g = 0; g < group; ++g) {
        const std::int64_t at = (head * group + g) * stride;
        const std::int64_t count =
            kernels::select_top_k(request.page_scores + at, pages, chosen, scratch.words.data(),
                                  request.chosen_pages + at, request.chosen_bounds + at);
        HG_CHECK(count == chosen,
                 "op " << context.op.id.value << " chose " << count << " pages of " << chosen);
      }
    }
  });
  context.bytes.access(plan_.device_tier, walked * head_bounds_);
}

void PageOps::collect_spans(const OpContext& context, const RequestBuffers& request, std::int64_t head,
                            std::vector<kernels::KvSpan>& spans) const {
  const Work& work = context.op.work;
  const RowStore& k = request.device_k(work.kv, context.op.layer, 0);
  const RowStore& v = request.device_v(work.kv, context.op.layer, 0);
  const int kv_head = static_cast<int>(head) / shape_.group();
  const std::int32_t* chosen = request.chosen_pages + head * request.page_bounds(context.op.layer).slots;
  Tokens next = -1;  // the token behind the last span
  const auto add = [&](Tokens first, Tokens count) {
    if (first == next) {
      spans.back().count += count;
    } else {
      spans.push_back({k.head(kv_head, head_row_) + first * head_row_,
                       v.head(kv_head, head_row_) + first * head_row_, count});
    }
    next = first + count;
  };
  spans.clear();
  for (std::int64_t i = 0; i < work.rows_per_head / plan_.page_tokens; ++i) {
    add(chosen[i] * plan_.page_tokens, plan_.page_tokens);
  }
  add(work.first_token, work.tokens);
}

void PageOps::attend_pages(const OpContext& context, RequestBuffers& request, const DeviceRow& row) {
  std::atomic<std::int64_t> walked{0};  // rows of one head, over all query heads
  context.team.parallel(shape_.query_heads, 1, [&](int thread, std::int64_t begin, std::int64_t end) {
    Scratch& scratch = scratch_[static_cast<std::size_t>(thread)];
    for (std::int64_t head = begin; head < end; ++head) {
      collect_spans(context, request, head, scratch.spans);
      for (const kernels::KvSpan& span : scratch.spans) walked += span.count;
      kernels::attend(kv_type_, row.query + head * shape_.head_dim, 1, shape_.head_dim, scratch.spans.data(),
                      static_cast<int>(scratch.spans.size()), scale_, scratch.floats.data(),
                      row.attended + head * shape_.head_dim, nullptr);
    }
  });
  context.bytes.access(plan_.device_tier, 2 * walked * head_row_);  // K and V
}

}  // namespace hybridgen
