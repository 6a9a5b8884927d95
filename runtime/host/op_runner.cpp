#include "runtime/host/op_runner.hpp"

#include <algorithm>
#include <cmath>

#include "core/base/check.hpp"
#include "runtime/host/kv_type_of.hpp"
#include "runtime/kernels/rope.hpp"

namespace hybridgen {
namespace {

// A step prefills one request, or decodes one token of every slot's.
Tokens most_query_tokens(const TokenFeed& feed, const MemoryPlan& plan) {
  std::size_t most = plan.slots.size();
  for (const auto& prompt : feed.prompts) most = std::max(most, prompt.size());
  return static_cast<Tokens>(most);
}

std::vector<double> frequencies_of(const ModelShape& shape) {
  if (shape.blocks.position != PositionKind::rotary) return {};
  return kernels::rope_frequencies(shape.head_dim, shape.rope_theta, shape.blocks.rope_scaling);
}

}  // namespace

OpRunner::OpRunner(const HostModel& model, const MemoryPlan& plan, TokenFeed feed, Tokens new_tokens,
                   std::vector<TierMemory>& memory, int device_threads, int host_threads)
    : shape_(model.shape),
      weights_(model.weights),
      plan_(plan),
      host_ops_(shape_, plan_),
      page_ops_(shape_, plan_, device_threads),
      partial_ops_(model.weights, plan_, device_threads),
      feed_(std::move(feed)),
      kv_type_(kv_type_of(plan.kv_dtype)),
      head_row_(head_row_bytes(model.shape, plan.kv_dtype)),
      scale_(1.0F / std::sqrt(static_cast<float>(model.shape.head_dim))),
      frequencies_(frequencies_of(model.shape)),
      act_(model.shape, plan, most_query_tokens(feed_, plan), static_cast<int>(plan.slots.size()),
           device_threads) {
  for (const auto& prompt : feed_.prompts) {
    tokens_.push_back(prompt);
    tokens_.back().reserve(prompt.size() + static_cast<std::size_t>(new_tokens));
  }
  for (std::size_t slot = 0; slot < plan_.slots.size(); ++slot) {
    slots_.emplace_back(shape_, plan_, SlotId(static_cast<std::int64_t>(slot)), memory);
    if (plan_.partial.columns > 0) {
      pools_.emplace_back(shape_, plan_, SlotId(static_cast<std::int64_t>(slot)),
                          memory.at(plan_.device_tier.index()));
    }
    for (KeptRows& rows : slots_.back().kept) rows.in_order();
    slots_.back().scratch.resize(HostOps::select_scratch(slots_.back().size(), host_threads));
  }
}

std::int64_t OpRunner::run(const OpContext& context) {
  switch (context.op.kind) {
    case OpKind::embed:
      embed(context);
      return 0;
    case OpKind::norm_qkv:
      norm_qkv(context);
      return 0;
    case OpKind::attend:
    case OpKind::prefill_attend:
    case OpKind::device_partial:
      attend(context);
      return 0;
    case OpKind::load_kv:
      load_kv(context);
      return 0;
    case OpKind::offload_kv:
      offload_kv(context);
      return 0;
    case OpKind::keep_kv:
      keep_kv(context);
      return 0;
    case OpKind::send_query:
      send_query(context);
      return 0;
    case OpKind::host_logits:
    case OpKind::select:
    case OpKind::pack_rows:
    case OpKind::pack_keys:
    case OpKind::host_attend:
      return host_ops_.run(context, buffers(context));
    case OpKind::send_scores:
      send_scores(context);
      return 0;
    case OpKind::send_rows:
    case OpKind::send_keys:
      send_rows(context);
      return 0;
    case OpKind::device_logits:
      device_logits(context);
      return 0;
    case OpKind::joint_attend:
      joint_attend(context);
      return 0;
    case OpKind::predict_query:
      predict_query(context);
      return 0;
    case OpKind::fit_logits:
      fit_logits(context);
      return 0;
    case OpKind::correct_scores:
      correct_scores(context);
      return 0;
    case OpKind::row_logits:
      row_logits(context);
      return 0;
    case OpKind::send_partial:
      send_partial(context);
      return 0;
    case OpKind::join_partials:
      join_partials(context);
      return 0;
    case OpKind::page_bounds:
    case OpKind::select_pages:
    case OpKind::attend_pages:
      page_ops_.run(context, buffers(context), device_row(context));
      return 0;
    case OpKind::partial_keys:
    case OpKind::partial_select:
    case OpKind::send_choice:
    case OpKind::pool_row:
    case OpKind::attend_fetched:
      return partial_ops_.run(context,
                              {buffers(context), pools_.at(context.op.slot.index()), partial_row(context)});
    case OpKind::project_out:
      project_out(context);
      return 0;
    case OpKind::ffn:
      ffn(context);
      return 0;
    case OpKind::lm_head:
      lm_head(context);
      return 0;
    case OpKind::sample:
      return sample(context);
    case OpKind::score_prompt:
      score_prompt(context);
      return 0;
    case OpKind::keep_rows:
      keep_rows(context);
      return 0;
    case OpKind::evict_row:
      evict_row(context);
      return 0;
    case OpKind::attend_kept:
      attend_kept(context);
      return 0;
  }
  HG_CHECK(false, "op " << context.op.id.value << " of an unknown kind");
  return 0;
}

OpRunner::RowPlace OpRunner::place_of(const OpContext& context) const {
  RowPlace place;
  for (const BatchRow& row : context.step.batch) {
    if (row.request == context.op.request) {
      place.query_tokens = row.query_tokens;
      place.first_position = row.first_position;
      return place;
    }
    place.first_query += row.query_tokens;
    ++place.row;
  }
  HG_CHECK(false, "op " << context.op.id.value << ": request " << context.op.request.value
                        << " is not in the batch");
  return place;
}

DeviceRow OpRunner::device_row(const OpContext& context) {
  const Tokens query = place_of(context).first_query;
  return {act_.qkv.data() + query * act_.qkv_width, act_.attended.data() + query * shape_.q_width()};
}

PartialRow OpRunner::partial_row(const OpContext& context) {
  const Tokens query = place_of(context).first_query;
  const std::int64_t width = shape_.q_width();
  const auto buffer = static_cast<std::size_t>(context.op.work.buffer);
  return {act_.qkv.data() + query * act_.qkv_width, act_.qkv_width,
          act_.predicted[buffer].data() + query * width, act_.attended.data() + query * width};
}

Tokens OpRunner::query_tokens(const Step& step) {
  Tokens sum = 0;
  for (const BatchRow& row : step.batch) sum += row.query_tokens;
  return sum;
}

}  // namespace hybridgen
