#include "runtime/host/request_buffers.hpp"

#include <algorithm>
#include <numeric>

#include "core/base/check.hpp"
#include "core/residency/exchange.hpp"

namespace hybridgen {
namespace {

Partial partial_in(TierMemory& memory, const ModelShape& model) {
  float* base = memory.array<float>(model.q_width() + model.query_heads);
  return {base, base + model.q_width()};
}

}  // namespace

std::array<SlotRun, 2> ring_runs(Tokens first, Tokens count, Tokens slots) {
  HG_CHECK(0 <= first && 0 <= count && count <= slots, count << " tokens in " << slots << " slots");
  if (count == 0) return {};
  const Tokens start = first % slots;
  const Tokens straight = std::min(count, slots - start);
  return {SlotRun{start, straight}, SlotRun{0, count - straight}};
}

std::array<SlotRun, 3> segment_runs(Tokens first, Tokens count, Tokens slots, Tokens sinks) {
  HG_CHECK(0 <= sinks && sinks < slots, sinks << " of " << slots << " slots are the first tokens'");
  const Tokens among_first = std::clamp<Tokens>(sinks - first, 0, count);
  const auto [straight, wrapped] =
      ring_runs(std::max<Tokens>(0, first - sinks), count - among_first, slots - sinks);
  return {SlotRun{first, among_first}, SlotRun{sinks + straight.slot, straight.count},
          SlotRun{sinks + wrapped.slot, wrapped.count}};
}

RequestBuffers::RequestBuffers(const ModelShape& model, const MemoryPlan& plan, SlotId slot,
                               std::vector<TierMemory>& memory)
    : size_(plan.slots.at(slot.index())), whole_layers_(plan.whole_layers) {
  const Bytes row = kv_row_bytes(model, plan.kv_dtype);
  auto stores = [&](std::vector<RowStore>& list, int count, TierId tier, Tokens slots, Tokens sinks = 0) {
    for (int i = 0; i < count && slots > 0; ++i) {
      list.push_back({memory.at(tier.index()).allocate(slots * row), slots, sinks});
    }
  };
  stores(segment_k_, model.layers, plan.device_tier, size_.segment_tokens, size_.sink_tokens);
  stores(segment_v_, model.layers, plan.device_tier, size_.segment_tokens, size_.sink_tokens);
  stores(staging_k_, plan.staging_buffers, plan.device_tier, size_.staging_tokens);
  stores(staging_v_, plan.staging_buffers, plan.device_tier, size_.staging_tokens);
  const int whole = model.layers - plan.pooled_layers(model.layers);
  for (int layer = 0; layer < model.layers; ++layer) {
    const Tokens rows = layer < whole ? size_.host_tokens : size_.pool_slots;
    stores(host_k_, 1, plan.host_k(layer), rows);
    stores(host_v_, 1, plan.host_v(layer), rows);
  }

  if (size_.pages > 0) take_pages(model, plan, memory.at(plan.device_tier.index()));
  if (plan.kept_rows) {
    TierMemory& device = memory.at(plan.device_tier.index());
    for (int i = 0; i < model.layers; ++i) kept.emplace_back(model.kv_heads, size_.segment_tokens, device);
    prompt_mass = device.array<float>(model.kv_heads * size_.staging_tokens);
  }
  const auto heads = static_cast<std::size_t>(model.query_heads);
  exchange_.resize(static_cast<std::size_t>(plan.exchange_buffers()));
  for (Exchange& exchange : exchange_) {
    exchange.group = plan.exchange_group;
    exchange.counts.resize(heads);
    exchange.offsets.resize(heads + 1);
  }
  slope.resize(heads);
  shift.resize(heads);
  if (size_.exchange_rows_per_head == 0 && !plan.exchange_partials) return;
  TierMemory& device = memory.at(plan.device_tier.index());
  TierMemory& host = memory.at(plan.exchange_tier.index());
  for (Exchange& exchange : exchange_) exchange.query = host.array<float>(model.q_width());
  if (size_.exchange_rows_per_head > 0) take_rows_exchange(model, plan, host, device);
  if (plan.exchange_partials) {
    host_partial = partial_in(host, model);
    host_partial_up = partial_in(device, model);
    device_lse.resize(heads);
  }
}

void RequestBuffers::take_pages(const ModelShape& model, const MemoryPlan& plan, TierMemory& device) {
  const Bytes row = bounds_bytes(model, plan.kv_dtype);
  for (int layer = whole_layers_; layer < model.layers; ++layer) {
    page_bounds_.push_back({device.allocate(size_.pages * row), size_.pages});
  }
  page_scores = device.array<float>(model.query_heads * size_.pages);
  chosen_pages = device.array<std::int32_t>(model.query_heads * size_.pages);
  chosen_bounds = device.array<float>(model.query_heads * size_.pages);
}

void RequestBuffers::take_rows_exchange(const ModelShape& model, const MemoryPlan& plan, TierMemory& host,
                                        TierMemory& device) {
  const std::int64_t most_rows = packed_heads(model, plan) * most_packed_rows(plan, size_);
  const std::int64_t most_scores = most_rows * plan.exchange_group;
  const Bytes packed_bytes = most_rows * head_row_bytes(model, plan.kv_dtype);
  host_scores = host.array<float>(model.query_heads * size_.host_tokens);
  if (chooses_once_per_group(plan)) group_margins = host.array<float>(model.kv_heads * size_.host_tokens);
  device_scores = device.array<float>(model.query_heads * std::max(size_.segment_tokens, size_.pool_slots));
  if (plan.lookahead.corrects) {
    device_predicted_scores = device.array<float>(model.query_heads * size_.segment_tokens);
  }
  for (Exchange& exchange : exchange_) {
    exchange.rows = host.array<std::int32_t>(model.query_heads * size_.exchange_rows_per_head);
    exchange.chosen_scores = host.array<float>(most_scores);
    exchange.packed = host.allocate(packed_bytes);
    exchange.device_chosen_scores = device.array<float>(most_scores);
    exchange.device_packed = device.allocate(packed_bytes);
    if (plan.partial.columns > 0) {
      exchange.device_rows = device.array<std::int32_t>(model.query_heads * size_.exchange_rows_per_head);
    }
    if (!plan.lookahead.keys_up) continue;
    exchange.packed_keys = host.allocate(packed_bytes);
    exchange.device_packed_keys = device.allocate(packed_bytes);
  }
}

const RowStore& RequestBuffers::device_k(KvPlace place, int layer, int buffer) const {
  HG_CHECK(place != KvPlace::none, "an op that touches device KV says where it lies");
  return place == KvPlace::staging ? staging_k_.at(static_cast<std::size_t>(buffer))
                                   : segment_k_.at(static_cast<std::size_t>(layer));
}

const RowStore& RequestBuffers::device_v(KvPlace place, int layer, int buffer) const {
  HG_CHECK(place != KvPlace::none, "an op that touches device KV says where it lies");
  return place == KvPlace::staging ? staging_v_.at(static_cast<std::size_t>(buffer))
                                   : segment_v_.at(static_cast<std::size_t>(layer));
}

std::int64_t Exchange::scores_up() const {
  return std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
}

}  // namespace hybridgen
