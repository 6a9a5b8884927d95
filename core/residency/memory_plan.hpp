// How much of each memory a run needs, by purpose, before anything starts. Policies make it, the driver
// checks it against the capacities, and an executor allocates from it: nothing is allocated later.
#pragma once

#include <string>
#include <vector>

#include "core/base/ids.hpp"
#include "core/base/units.hpp"

namespace hybridgen {

// The type of the elements of K and V. Files say its name; the order is of no account.
enum class KvDtype { f16, f32, bf16 };
inline Bytes bytes_of(KvDtype dtype) {
  return dtype == KvDtype::f32 ? 4 : 2;
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
  int staging_buffers = 0;
  bool exchange_partials = false;         // partial outputs go up, in every slot
  std::vector<SlotPlan> slots;            // by slot id
  std::vector<Reservation> reservations;  // what all slots need together

  Bytes needed(TierId tier) const {
    Bytes sum = 0;
    for (const Reservation& r : reservations) {
      if (r.tier == tier) sum += r.bytes;
    }
    return sum;
  }
};

}  // namespace hybridgen
