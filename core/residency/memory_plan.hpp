// How much of each memory a run needs, by purpose, before anything starts. Policies make it, the driver
// checks it against the capacities, and an executor allocates from it: nothing is allocated later.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "core/base/ids.hpp"
#include "core/base/units.hpp"
#include "core/residency/host_layers.hpp"
#include "core/residency/kv_dtype.hpp"
#include "core/residency/pool_eviction.hpp"

namespace hybridgen {

enum class Purpose {
  weights,
  device_kv,
  staging,
  host_k,
  host_v,
  exchange,
  activations,
  workspace,
  metadata,  // what a selection keeps of K besides K itself
  predictor,
};
const char* name_of(Purpose purpose);
// What kernels work in: part of what must fit, not of what is kept and counted as a tier's peak.
inline bool is_working_memory(Purpose purpose) {
  return purpose == Purpose::activations || purpose == Purpose::workspace;
}

struct Reservation {
  TierId tier;
  Purpose purpose = Purpose::weights;
  Bytes bytes = 0;
};

// Choosing host rows on the device by a few columns of the skewed K, in every layer from whole_layers on.
struct PartialPlan {
  int columns = 0;         // per KV head; 0: nothing is chosen so
  Tokens pool_tokens = 0;  // rows per KV head that the host pool keeps; 0: all
  PoolEviction evict = PoolEviction::counter;
};

// The room of one request at a time.
struct SlotPlan {
  Tokens segment_tokens = 0;                // slots of the device segment
  Tokens sink_tokens = 0;                   // of these, for the first tokens; the others are the ring
  Tokens host_tokens = 0;                   // at most on the host
  Tokens staging_tokens = 0;                // per buffer
  std::int64_t exchange_rows_per_head = 0;  // most rows of one choice that ever go up in one layer
  Tokens pool_slots = 0;                    // of the host's pool, in each layer that has one
  std::int64_t pages = 0;                   // whose bounds are kept, in each layer from whole_layers on
};

// What working one layer ahead needs room for, in every slot.
struct LookaheadPlan {
  bool predicts = false;  // some layer's queries are predicted
  bool fitted = false;    // with the model's fitted predictor
  bool keys_up = false;   // chosen K rows go up beside the V rows
  bool corrects = false;  // the device has the logits of both queries
  bool own_norm = false;  // the input passes the norm of its own layer, not that of the layer to come
};

// The sizes it inherits are the most that any slot has.
struct MemoryPlan : SlotPlan {
  KvDtype kv_dtype = KvDtype::f16;
  TierId device_tier;  // weights, device segment, staging
  HostLayers k_on_host;
  HostLayers v_on_host;
  bool whole_layers_on_host = true;  // a layer's K and V overflow together
  TierId exchange_tier;  // the host's side of what it exchanges with the device, and its workspace
  int staging_buffers = 0;
  int exchange_group = 1;          // query heads that share a packed V row: 1, or all of a KV head
  int exchange_choices = 1;        // whose union a packed head's rows are: 1, or its group's heads
  bool exchange_partials = false;  // partial outputs go up, in every slot
  Tokens page_tokens = 0;          // of a page whose bounds are kept; 0: none are
  int whole_layers = 0;            // the first layers, which read all K and keep nothing else of it
  bool kept_rows = false;          // segments hold chosen tokens, each with its position and its mass
  LookaheadPlan lookahead;
  PartialPlan partial;
  std::vector<SlotPlan> slots;            // by slot id
  std::vector<Reservation> reservations;  // what all slots need together

  // Layers whose exchange is alive at once: layer i uses the buffers i mod this.
  int exchange_buffers() const { return lookahead.predicts ? 2 : 1; }
  // Of so many layers, those whose rows on the host are a pool.
  int pooled_layers(int layers) const {
    return partial.columns == 0 ? 0 : std::max(0, layers - whole_layers);
  }

  // Where the host segment's K and V of a layer lie.
  TierId host_k(int layer) const { return k_on_host.of(layer); }
  TierId host_v(int layer) const { return v_on_host.of(layer); }

  Bytes needed(TierId tier) const {
    Bytes sum = 0;
    for (const Reservation& r : reservations) {
      if (r.tier == tier) sum += r.bytes;
    }
    return sum;
  }
};

}  // namespace hybridgen
