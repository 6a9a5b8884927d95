// One piece of work over a batch. Policies build ops, executors carry them out; an executor never asks which
// policy an op came from.
#pragma once

#include <cstdint>

#include "core/machine/lane.hpp"
#include "core/machine/op_kind.hpp"
#include "core/step/keep_rule.hpp"
#include "core/step/traffic.hpp"

namespace hybridgen {

// Where the device's K and V of an op lie.
enum class KvPlace {
  none,
  segment,  // the device segment: a ring of the most recent tokens, kept from step to step
  staging,  // a buffer for one layer's KV during this step
  kept,     // the device segment again, but of chosen tokens in slots of no order
};

// New ones at the end: recorded runs have the hash of their steps, and a step's hash has the value.
enum class SelectRule {
  all,
  top_k,               // k rows per query head
  threshold,           // rows whose score is at least the head's maximum minus alpha; count is an outcome
  page_bound,          // whole pages of rows by an upper bound of their scores, per query head
  sink_window,         // the first tokens and the newest ones
  heavy_hitter,        // the newest tokens and those with the most attention mass so far
  observation_window,  // what the prompt's last queries look at, and those
  mean_threshold,      // equally many per query head: the mean of what threshold would give; an outcome
  group_top_k,         // k rows per KV head, by the best of their margins to its query heads' largest logits
};

// The sizes an executor needs to carry the op out. Which fields count depends on the op's kind:
// core/policy/model_ops.cpp fills them in, kind by kind.
struct Work {
  KvPlace kv = KvPlace::none;
  int buffer = 0;          // which of the staging buffers, or of the exchange's
  Tokens first_token = 0;  // first position of the token range that the op covers
  Tokens tokens = 0;       // length of that range
  SelectRule rule = SelectRule::all;
  // Rows selected per query head, or their bound; keep_rows and group_top_k: per KV head.
  std::int64_t rows_per_head = 0;
  std::int64_t alpha_milli = 0;  // threshold: distance to the maximum in thousandths
  KeepRule keep;                 // of the ops over kept rows
  bool evict = false;            // evict_row: no slot is free
  bool predicted = false;        // of the predicted query instead of the true one
};

struct Op {
  OpId id;
  OpKind kind = OpKind::embed;
  Role role = Role::device;
  LaneId lane;
  std::int32_t layer = -1;  // -1: not of a layer
  RequestId request;        // invalid: all rows of the batch
  SlotId slot;              // the request's room, where the op works on its KV or buffers
  Work work;
  Traffic traffic;
  OutcomeId produces;                  // the outcome this op makes known; usually none
  std::uint32_t first_dependency = 0;  // into Step::dependencies
  std::uint32_t dependency_count = 0;
};

}  // namespace hybridgen
