// One slot's KV and exchange buffers on this machine, for one request at a time, allocated whole before the
// run. K and V rows lie per KV head, contiguous in token order: [kv_head][slot][row].
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/machine/model_shape.hpp"
#include "core/residency/memory_plan.hpp"
#include "core/step/op.hpp"
#include "runtime/host/kept_rows.hpp"
#include "runtime/host/tier_memory.hpp"
#include "runtime/kernels/kv_type.hpp"

namespace hybridgen {

// Rows of K or V of every KV head: head h starts at base + h * slots * row.
struct RowStore {
  std::byte* base = nullptr;
  Tokens slots = 0;
  Tokens sinks = 0;  // slots of the first tokens, before the ring

  std::byte* head(int kv_head, Bytes row) const { return base + (kv_head * slots) * row; }
};

// A contiguous run of slots that holds consecutive tokens.
struct SlotRun {
  Tokens slot = 0;
  Tokens count = 0;
};

// The slots of tokens [first, first + count): position p sits in slot p mod slots. One run, or two where the
// ring wraps; unused runs have count 0.
std::array<SlotRun, 2> ring_runs(Tokens first, Tokens count, Tokens slots);

// The same in a store whose first `sinks` slots hold the first tokens for good and whose others are the ring:
// position p >= sinks sits in slot sinks + (p - sinks) mod (slots - sinks). Runs in token order.
std::array<SlotRun, 3> segment_runs(Tokens first, Tokens count, Tokens slots, Tokens sinks);
// The slot of one position.
inline Tokens segment_slot(Tokens position, Tokens slots, Tokens sinks) {
  return position < sinks ? position : sinks + (position - sinks) % (slots - sinks);
}

// Attention over some of a request's tokens: what joins it with attention over the others. Output and
// log-sum-exp lie behind each other, so that they travel as one.
struct Partial {
  float* out = nullptr;  // [query_heads][head_dim]
  float* lse = nullptr;  // [query_heads]
};

// What one layer's attention sends to and fro. Two layers' are alive at once where the host works one ahead.
// A group of query heads shares its packed rows: they begin where its first head's indices do, and all its
// heads have the same count.
struct Exchange {
  int group = 1;  // query heads that share a packed row: 1, or all of a KV head

  // Host side.
  float* query = nullptr;             // [query_heads][head_dim], as sent down
  std::int32_t* rows = nullptr;       // [query_heads][rows_per_head], chosen row indices
  float* chosen_scores = nullptr;     // behind each other, query head after query head
  std::byte* packed_keys = nullptr;   // K rows, packed head after packed head; null where none go up
  std::byte* packed = nullptr;        // V rows in the same order
  std::vector<std::int64_t> counts;   // by query head: host rows that enter its softmax
  std::vector<std::int64_t> offsets;  // [query_heads + 1], of the host's lane: where a head's rows begin

  // Device side.
  std::int32_t* device_rows = nullptr;  // [query_heads][rows_per_head], where the device chooses
  float* device_chosen_scores = nullptr;
  std::byte* device_packed_keys = nullptr;
  std::byte* device_packed = nullptr;

  const std::int32_t* rows_of(std::int64_t head, std::int64_t stride) const {
    return rows + head / group * group * stride;
  }
  std::int64_t scores_up() const;  // sum of counts
  std::int64_t rows_up() const { return scores_up() / group; }
};

class RequestBuffers {
 public:
  // memory: by tier id.
  RequestBuffers(const ModelShape& model, const MemoryPlan& plan, SlotId slot,
                 std::vector<TierMemory>& memory);

  const SlotPlan& size() const { return size_; }

  // The device's rows of a layer: the ring, or a staging buffer.
  const RowStore& device_k(KvPlace place, int layer, int buffer) const;
  const RowStore& device_v(KvPlace place, int layer, int buffer) const;
  const RowStore& host_k(int layer) const { return host_k_.at(static_cast<std::size_t>(layer)); }
  const RowStore& host_v(int layer) const { return host_v_.at(static_cast<std::size_t>(layer)); }

  // By Work::buffer of the layer's ops.
  Exchange& exchange(int buffer) { return exchange_.at(static_cast<std::size_t>(buffer)); }
  const Exchange& exchange(int buffer) const { return exchange_.at(static_cast<std::size_t>(buffer)); }

  // Host side, of one layer at a time: the host's lane works on no two at once.
  float* host_scores = nullptr;        // [query_heads][host_tokens]
  float* group_margins = nullptr;      // [kv_heads][host_tokens], where the heads of a group choose together
  std::vector<std::uint32_t> scratch;  // of the selection, one part per thread
  Partial host_partial;
  std::vector<float> partials;  // one part per thread: of the host's attention, or of largest logits

  // Device side, the same.
  float* device_scores = nullptr;  // [query_heads][segment_tokens, or pool_slots where these are more]
  float* device_predicted_scores =
      nullptr;                      // the same of the predicted query; null where nothing is corrected
  std::vector<float> slope, shift;  // [query_heads], from predicted to true logits
  Partial host_partial_up;          // as sent up
  std::vector<float> device_lse;    // [query_heads], of the device's own partial

  // Pages on the device. Row p of a KV head: the least of every channel of page p, then the largest.
  const RowStore& page_bounds(int layer) const {
    return page_bounds_.at(static_cast<std::size_t>(layer - whole_layers_));
  }
  float* page_scores = nullptr;          // [query_heads][pages]
  std::int32_t* chosen_pages = nullptr;  // [query_heads][pages], ascending
  float* chosen_bounds = nullptr;        // [query_heads][pages], of the chosen ones

  // Of segments that hold chosen tokens.
  std::vector<KeptRows> kept;    // by layer; empty: the segments are rings
  float* prompt_mass = nullptr;  // [kv_heads][staging_tokens], of the layer at hand

 private:
  void take_rows_exchange(const ModelShape& model, const MemoryPlan& plan, TierMemory& host,
                          TierMemory& device);

  void take_pages(const ModelShape& model, const MemoryPlan& plan, TierMemory& device);

  SlotPlan size_;
  int whole_layers_ = 0;
  std::vector<Exchange> exchange_;
  std::vector<RowStore> segment_k_, segment_v_;  // by layer
  std::vector<RowStore> staging_k_, staging_v_;  // by buffer
  std::vector<RowStore> host_k_, host_v_;        // by layer
  std::vector<RowStore> page_bounds_;            // by layer from whole_layers_ on
};

}  // namespace hybridgen
