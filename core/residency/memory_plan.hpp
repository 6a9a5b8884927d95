// How much of each memory a run needs, by purpose, before anything starts. Policies make it, the driver
// checks it against the capacities, and an executor allocates from it: nothing is allocated later.
#pragma once

#include <string>
#include <vector>

#include "core/base/ids.hpp"
#include "core/base/units.hpp"

namespace hybridgen {

// Bytes per element of K and V. The values are stored in files; do not renumber.
enum class KvDtype { f16 = 2, f32 = 4 };
inline Bytes bytes_of(KvDtype dtype) {
  return static_cast<Bytes>(dtype);
}
const char* name_of(KvDtype dtype);

enum class Purpose { weights, device_kv, staging, host_k, host_v, exchange, activations, workspace };
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

// The room of one request at a time.
struct SlotPlan {
  Tokens segment_tokens = 0;                // slots of the device ring
  Tokens host_tokens = 0;                   // at most on the host
  Tokens staging_tokens = 0;                // per buffer
  std::int64_t exchange_rows_per_head = 0;  // most rows per query head that ever go up in one layer
};

// The sizes it inherits are the most that any slot has.
struct MemoryPlan : SlotPlan {
  KvDtype kv_dtype = KvDtype::f16;
  TierId device_tier;  // weights, device segment, staging
  TierId host_k_tier;  // invalid ids where no token ever lies on the host
  TierId host_v_tier;
  TierId overflow_tier;    // takes host K and V of the layers that the two have no room for
  int overflow_layer = 0;  // the first of these layers, where there is such a tier
  TierId exchange_tier;    // the host's side of what it exchanges with the device, and its workspace
  int staging_buffers = 0;
  int exchange_group = 1;                 // query heads that share a packed V row: 1, or all of a KV head
  bool exchange_partials = false;         // partial outputs go up, in every slot
  std::vector<SlotPlan> slots;            // by slot id
  std::vector<Reservation> reservations;  // what all slots need together

  // Where the host segment's K and V of a layer lie.
  bool overflows(int layer) const { return overflow_tier.valid() && layer >= overflow_layer; }
  TierId host_k(int layer) const { return overflows(layer) ? overflow_tier : host_k_tier; }
  TierId host_v(int layer) const { return overflows(layer) ? overflow_tier : host_v_tier; }

  Bytes needed(TierId tier) const {
    Bytes sum = 0;
    for (const Reservation& r : reservations) {
      if (r.tier == tier) sum += r.bytes;
    }
    return sum;
  }
};

}  // namespace hybridgen
