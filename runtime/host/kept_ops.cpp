// What the device does where it keeps chosen rows: their choice after a prompt, the slot of each new row, and
// attention over them.
#include <atomic>
#include <cstring>
#include <vector>

#include "core/base/check.hpp"
#include "runtime/host/keep_rules.hpp"
#include "runtime/host/op_runner.hpp"
#include "runtime/kernels/attend_kept.hpp"
#include "runtime/kernels/prompt_mass.hpp"
#include "runtime/kernels/rope.hpp"

namespace hybridgen {
namespace {

constexpr Bytes kMass = sizeof(float);
constexpr Bytes kPosition = sizeof(std::int32_t);

bool scores(SelectRule rule) {
  return rule != SelectRule::sink_window;
}

Bytes known_by(SelectRule rule) {
  return kPosition + (scores(rule) ? kMass : 0);
}

}  // namespace

KeptRows& OpRunner::kept_rows(const OpContext& context) {
  std::vector<KeptRows>& layers = buffers(context).kept;
  HG_CHECK(!layers.empty(), "op " << context.op.id.value << ": the plan has no kept rows");
  return layers.at(static_cast<std::size_t>(context.op.layer));
}

void OpRunner::score_prompt(const OpContext& context) {
  const Work& work = context.op.work;
  RequestBuffers& request = buffers(context);
  const RowStore& keys = request.device_k(work.kv, context.op.layer, work.buffer);
  const int group = shape_.group();
  std::atomic<std::int64_t> walked{0};  // rows of one head, over all heads
  const float* q = act_.qkv.data() + place_of(context).first_query * act_.qkv_width;
  context.team.parallel(shape_.kv_heads, 1, [&](int thread, std::int64_t begin, std::int64_t end) {
    float* scratch = act_.scratch[static_cast<std::size_t>(thread)].data();
    for (std::int64_t head = begin; head < end; ++head) {
      kernels::prompt_mass(kv_type_, q + head * group * shape_.head_dim, act_.qkv_width, work.first_token,
                           work.tokens, group, shape_.head_dim, keys.head(static_cast<int>(head), head_row_),
                           scale_, scratch, request.prompt_mass + head * request.size().staging_tokens);
      walked += work.tokens;
    }
  });
  context.bytes.access(plan_.device_tier, walked * (head_row_ + kMass));
}

void OpRunner::keep_rows(const OpContext& context) {
  const Work& work = context.op.work;
  RequestBuffers& request = buffers(context);
  KeptRows& kept = kept_rows(context);
  const Tokens prompt = work.tokens;
  const RowStore stores[2][2] = {{request.device_k(KvPlace::staging, context.op.layer, work.buffer),
                                  request.device_k(KvPlace::kept, context.op.layer, 0)},
                                 {request.device_v(KvPlace::staging, context.op.layer, work.buffer),
                                  request.device_v(KvPlace::kept, context.op.layer, 0)}};
  kept.set_used(work.rows_per_head);
  std::atomic<std::int64_t> moved{0};  // rows of K or V of one head
  context.team.parallel(shape_.kv_heads, 1, [&](int, std::int64_t begin, std::int64_t end) {
    for (auto head = static_cast<int>(begin); head < end; ++head) {
      const std::span<const float> mass(request.prompt_mass + head * request.size().staging_tokens,
                                        static_cast<std::size_t>(prompt));
      Tokens slot = 0;
      for (const KeptToken& token : rows_to_keep(work.rule, work.keep, mass, prompt, work.rows_per_head)) {
        for (const auto& [from, to] : stores) {
          std::memcpy(to.head(head, head_row_) + slot * head_row_,
                      from.head(head, head_row_) + token.position * head_row_,
                      static_cast<std::size_t>(head_row_));
          ++moved;
        }
        kept.describe(head, slot++, token.position, token.mass);
      }
    }
  });
  if (scores(work.rule)) context.bytes.access(plan_.device_tier, shape_.kv_heads * prompt * kMass);
  context.bytes.access(plan_.device_tier, moved * head_row_);                                    // read
  context.bytes.access(plan_.device_tier, moved * head_row_ + moved / 2 * known_by(work.rule));  // written
}

// The row of the new token comes with norm_qkv.
void OpRunner::evict_row(const OpContext& context) {
  const Work& work = context.op.work;
  KeptRows& kept = kept_rows(context);
  const Tokens position = place_of(context).first_position;
  kept.set_used(work.tokens);
  std::int64_t asked = 0;
  for (int head = 0; head < shape_.kv_heads; ++head) {
    Tokens slot = kept.used() - 1;
    if (work.evict) {
      slot =
          row_to_evict(work.rule, work.keep, kept.positions(head), std::as_const(kept).mass(head), position);
      asked += kept.used();
    }
    kept.take_slot(head, slot, position, mass_of_new_row(work.rule));
  }
  context.bytes.access(plan_.device_tier, (asked + shape_.kv_heads) * known_by(work.rule));
}

// The new token's query at its place in the cache, for the sinks; null: they see it where it stands. The
// other rows are as far from it in the cache as in the text.
const float* OpRunner::sink_query(const OpContext& context, const float* q) {
  const Tokens back = place_of(context).first_position + 1 - context.op.work.tokens;
  if (!context.op.work.keep.reindex || back == 0) return nullptr;
  float* turned = act_.turned.data();
  float* cosine = turned + shape_.q_width();
  float* sine = cosine + shape_.head_dim / 2;
  kernels::rope_angles(-back, frequencies_, cosine, sine);
  std::copy_n(q, shape_.q_width(), turned);
  kernels::rope(turned, shape_.query_heads, shape_.head_dim, cosine, sine);
  return turned;
}

void OpRunner::attend_kept(const OpContext& context) {
  const Work& work = context.op.work;
  const RequestBuffers& request = buffers(context);
  KeptRows& kept = kept_rows(context);
  HG_CHECK(kept.used() == work.tokens,
           "op " << context.op.id.value << ": " << kept.used() << " rows kept, planned " << work.tokens);
  const RowStore& keys = request.device_k(work.kv, context.op.layer, 0);
  const RowStore& values = request.device_v(work.kv, context.op.layer, 0);
  const Tokens query = place_of(context).first_query;
  const float* q = act_.qkv.data() + query * act_.qkv_width;
  const float* sink_q = sink_query(context, q);
  const Tokens sinks = std::min(work.keep.sinks, work.tokens);  // they have the first slots
  const bool gathers = work.rule == SelectRule::heavy_hitter;
  const std::int64_t group_width = static_cast<std::int64_t>(shape_.group()) * shape_.head_dim;
  std::atomic<std::int64_t> walked{0};  // rows of one head, over all heads
  context.team.parallel(shape_.kv_heads, 1, [&](int thread, std::int64_t begin, std::int64_t end) {
    float* scratch = act_.scratch[static_cast<std::size_t>(thread)].data();
    for (auto head = static_cast<int>(begin); head < end; ++head) {
      const kernels::KvSpan rows{keys.head(head, head_row_), values.head(head, head_row_), work.tokens};
      const std::int64_t at = head * group_width;
      kernels::attend_kept(kv_type_, q + at, sink_q == nullptr ? nullptr : sink_q + at, sinks, shape_.group(),
                           shape_.head_dim, rows, scale_, scratch,
                           act_.attended.data() + query * shape_.q_width() + at,
                           gathers ? kept.mass(head) : nullptr);
      walked += rows.count;
    }
  });
  context.bytes.access(plan_.device_tier, walked * (2 * head_row_ + (gathers ? 2 * kMass : 0)));
}

}  // namespace hybridgen
