// The selection among the host's rows: per query head, the union over a group's heads, or one choice per
// group.
#include <algorithm>
#include <limits>
#include <numeric>

#include "runtime/host/each_head.hpp"
#include "runtime/host/host_ops.hpp"
#include "runtime/kernels/elementwise.hpp"
#include "runtime/kernels/select.hpp"

namespace hybridgen {
namespace {

constexpr std::int64_t kGatherGrain = 512;  // logits
constexpr float kLowest = -std::numeric_limits<float>::infinity();

std::uint32_t* scratch_of(RequestBuffers& request, int thread) {
  return request.scratch.data() + thread * kernels::select_scratch(request.size().host_tokens);
}

}  // namespace

std::size_t HostOps::select_scratch(const SlotPlan& slot, int threads) {
  return static_cast<std::size_t>(threads * kernels::select_scratch(slot.host_tokens));
}

std::int64_t HostOps::select(const OpContext& context, RequestBuffers& request) const {
  if (context.op.work.rule == SelectRule::group_top_k) {
    margins_of_groups(context, request);
    choose_together(context, request);
    scores_of_groups(context, request);
  } else if (plan_.exchange_group > 1) {
    choose(context, request);
    unite_groups(context, request);
    scores_of_groups(context, request);
  } else {
    choose(context, request);
    if (context.op.work.rule == SelectRule::threshold) close_gaps(context, request);
  }
  return context.op.produces.valid() ? request.exchange(context.op.work.buffer).rows_up() : 0;
}

// Every query head's own rows. Their scores lie behind each other where every head has equally many.
void HostOps::choose(const OpContext& context, RequestBuffers& request) const {
  const Work& work = context.op.work;
  Exchange& exchange = request.exchange(work.buffer);
  const std::int64_t bound = std::min(work.rows_per_head, work.tokens);
  const std::int64_t stride = request.size().exchange_rows_per_head;
  context.team.parallel(shape_.query_heads, 1, [&](int thread, std::int64_t begin, std::int64_t end) {
    std::uint32_t* scratch = scratch_of(request, thread);
    for (std::int64_t head = begin; head < end; ++head) {
      const float* scores = request.host_scores + head * request.size().host_tokens;
      std::int32_t* rows = exchange.rows + head * stride;
      float* chosen = exchange.chosen_scores + head * bound;
      std::int64_t& count = exchange.counts[static_cast<std::size_t>(head)];
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
}

// Each head wrote at its bound; closing the gaps lets the transfer be one copy.
void HostOps::close_gaps(const OpContext& context, RequestBuffers& request) const {
  const Work& work = context.op.work;
  Exchange& exchange = request.exchange(work.buffer);
  const std::int64_t bound = std::min(work.rows_per_head, work.tokens);
  std::int64_t total = 0;
  for (std::int64_t head = 0; head < shape_.query_heads; ++head) {
    const std::int64_t count = exchange.counts[static_cast<std::size_t>(head)];
    std::copy_n(exchange.chosen_scores + head * bound, count, exchange.chosen_scores + total);
    total += count;
  }
}

// The rows that any head of a group chose enter the softmax of all its heads.
void HostOps::unite_groups(const OpContext& context, RequestBuffers& request) const {
  Exchange& exchange = request.exchange(context.op.work.buffer);
  const std::int64_t group = plan_.exchange_group;
  const std::int64_t stride = request.size().exchange_rows_per_head;
  const std::int64_t groups = shape_.query_heads / group;
  context.team.parallel(groups, 1, [&](int thread, std::int64_t begin, std::int64_t end) {
    for (std::int64_t head = begin * group; head < end * group; head += group) {
      std::int64_t* counts = exchange.counts.data() + head;
      const std::int64_t count =
          kernels::unite_rows(exchange.rows + head * stride, stride, counts, static_cast<int>(group),
                              context.op.work.tokens, scratch_of(request, thread));
      std::fill_n(counts, group, count);
    }
  });
}

// How close every row comes to the largest logit of any head of its group.
void HostOps::margins_of_groups(const OpContext& context, RequestBuffers& request) const {
  const Tokens tokens = context.op.work.tokens;
  const std::int64_t stride = request.size().host_tokens;
  const std::int64_t heads = shape_.query_heads;
  const int group = shape_.group();
  const int threads = context.team.threads();
  request.partials.resize(static_cast<std::size_t>(threads * heads));  // grows with the first op only
  float* most =
      request.partials.data();  // of each thread's tokens by head, then thread 0's are of all tokens
  std::fill_n(most, threads * heads, kLowest);
  context.team.parallel(tokens, kScanGrain, [&](int thread, std::int64_t begin, std::int64_t end) {
    for (std::int64_t head = 0; head < heads; ++head) {
      most[thread * heads + head] = kernels::max_of(request.host_scores + head * stride + begin, end - begin);
    }
  });
  for (std::int64_t head = 0; head < heads; ++head) {
    for (int thread = 1; thread < threads; ++thread) {
      most[head] = std::max(most[head], most[thread * heads + head]);
    }
    if (most[head] == kLowest) most[head] = 0.0F;  // -inf minus infinity would be NaN
  }
  context.team.parallel(tokens, kScanGrain, [&](int, std::int64_t begin, std::int64_t end) {
    for (std::int64_t head = 0; head < shape_.kv_heads; ++head) {
      kernels::best_margins(request.host_scores + head * group * stride + begin, stride, group, end - begin,
                            most + head * group, request.group_margins + head * stride + begin);
    }
  });
}

// One choice per group: the rows with the best margins.
void HostOps::choose_together(const OpContext& context, RequestBuffers& request) const {
  const Work& work = context.op.work;
  Exchange& exchange = request.exchange(work.buffer);
  const std::int64_t group = plan_.exchange_group;
  const std::int64_t stride = request.size().exchange_rows_per_head;
  const std::int64_t bound = std::min(work.rows_per_head, work.tokens);
  context.team.parallel(shape_.kv_heads, 1, [&](int thread, std::int64_t begin, std::int64_t end) {
    for (std::int64_t head = begin; head < end; ++head) {
      const float* margins = request.group_margins + head * request.size().host_tokens;
      float* unused = exchange.chosen_scores + head * bound;  // the heads' own logits replace them
      const std::int64_t count =
          kernels::select_top_k(margins, work.tokens, bound, scratch_of(request, thread),
                                exchange.rows + head * group * stride, unused);
      std::fill_n(exchange.counts.data() + head * group, group, count);
    }
  });
}

// Each head's own logits of its group's rows, behind each other.
void HostOps::scores_of_groups(const OpContext& context, RequestBuffers& request) const {
  Exchange& exchange = request.exchange(context.op.work.buffer);
  const std::int64_t stride = request.size().exchange_rows_per_head;
  std::partial_sum(exchange.counts.begin(), exchange.counts.end(), exchange.offsets.begin() + 1);
  const std::span<const std::int64_t> offsets = exchange.offsets;
  context.team.parallel(offsets.back(), kGatherGrain, [&](int, std::int64_t begin, std::int64_t end) {
    each_head(offsets, begin, end, [&](std::int64_t head, std::int64_t from, std::int64_t count) {
      const std::int32_t* rows = exchange.rows_of(head, stride) + from;
      const float* scores = request.host_scores + head * request.size().host_tokens;
      float* chosen = exchange.chosen_scores + offsets[static_cast<std::size_t>(head)] + from;
      for (std::int64_t i = 0; i < count; ++i) chosen[i] = scores[rows[i]];
    });
  });
}

}  // namespace hybridgen
