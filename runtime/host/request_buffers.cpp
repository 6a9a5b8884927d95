#include "runtime/host/request_buffers.hpp"

#include <algorithm>
#include <numeric>

#include "core/base/check.hpp"

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

RequestBuffers::RequestBuffers(const ModelShape& model, const MemoryPlan& plan, SlotId slot,
                               std::vector<TierMemory>& memory)
    : size_(plan.slots.at(slot.index())), whole_layers_(plan.whole_layers) {
  const Bytes row = model.kv_row_bytes(bytes_of(plan.kv_dtype));
  auto stores = [&](std::vector<RowStore>& list, int count, TierId tier, Tokens slots) {
    for (int i = 0; i < count && slots > 0; ++i) {
      list.push_back({memory.at(tier.index()).allocate(slots * row), slots});
    }
  };
  stores(segment_k_, model.layers, plan.device_tier, size_.segment_tokens);
  stores(segment_v_, model.layers, plan.device_tier, size_.segment_tokens);
  stores(staging_k_, plan.staging_buffers, plan.device_tier, size_.staging_tokens);
  stores(staging_v_, plan.staging_buffers, plan.device_tier, size_.staging_tokens);
  const int pooled = plan.partial.columns > 0 ? std::max(0, model.layers - plan.whole_layers) : 0;
  stores(host_k_, model.layers - pooled, plan.host_k_tier, size_.host_tokens);
  stores(host_v_, model.layers - pooled, plan.host_v_tier, size_.host_tokens);
  stores(host_k_, pooled, plan.host_k_tier, size_.pool_slots);
  stores(host_v_, pooled, plan.host_v_tier, size_.pool_slots);

  if (size_.pages > 0) take_pages(model, plan, memory.at(plan.device_tier.index()));

  counts.resize(static_cast<std::size_t>(model.query_heads));
  if (plan.partial.columns > 0) return;  // its exchange is PartialStore's
  if (size_.exchange_rows_per_head == 0 && !plan.exchange_partials) return;
  TierMemory& device = memory.at(plan.device_tier.index());
  TierMemory& host = memory.at(plan.host_k_tier.index());
  query = host.array<float>(model.q_width());
  if (size_.exchange_rows_per_head > 0) take_rows_exchange(model, plan, host, device);
  if (plan.exchange_partials) {
    host_partial = partial_in(host, model);
    host_partial_up = partial_in(device, model);
    device_lse.resize(static_cast<std::size_t>(model.query_heads));
  }
}

void RequestBuffers::take_pages(const ModelShape& model, const MemoryPlan& plan, TierMemory& device) {
  const Bytes row = 2 * model.kv_row_bytes(bytes_of(plan.kv_dtype));
  for (int layer = whole_layers_; layer < model.layers; ++layer) {
    page_bounds_.push_back({device.allocate(size_.pages * row), size_.pages});
  }
  page_scores = device.array<float>(model.query_heads * size_.pages);
  chosen_pages = device.array<std::int32_t>(model.query_heads * size_.pages);
  chosen_bounds = device.array<float>(model.query_heads * size_.pages);
}

void RequestBuffers::take_rows_exchange(const ModelShape& model, const MemoryPlan& plan, TierMemory& host,
                                        TierMemory& device) {
  const std::int64_t most_rows = model.query_heads * size_.exchange_rows_per_head;
  const Bytes packed_bytes = most_rows * model.head_dim * bytes_of(plan.kv_dtype);
  host_scores = host.array<float>(model.query_heads * size_.host_tokens);
  rows = host.array<std::int32_t>(most_rows);
  chosen_scores = host.array<float>(most_rows);
  packed = host.allocate(packed_bytes);
  device_scores = device.array<float>(model.query_heads * size_.segment_tokens);
  device_chosen_scores = device.array<float>(most_rows);
  device_packed = device.allocate(packed_bytes);
}

const RowStore& RequestBuffers::device_k(KvPlace place, int layer, int buffer) const {
  HG_CHECK(place != KvPlace::none, "an op that touches device KV says where it lies");
  return place == KvPlace::segment ? segment_k_.at(static_cast<std::size_t>(layer))
                                   : staging_k_.at(static_cast<std::size_t>(buffer));
}

const RowStore& RequestBuffers::device_v(KvPlace place, int layer, int buffer) const {
  HG_CHECK(place != KvPlace::none, "an op that touches device KV says where it lies");
  return place == KvPlace::segment ? segment_v_.at(static_cast<std::size_t>(layer))
                                   : staging_v_.at(static_cast<std::size_t>(buffer));
}

std::int64_t RequestBuffers::chosen() const {
  return std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
}

}  // namespace hybridgen
