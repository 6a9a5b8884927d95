// What the host computes, under every real executor: logits over its segment, the selection among them, the
// packing of K and V rows, and whole attention over its segment. It reads and writes a request's host-side
// buffers only.
#pragma once

#include <cstdint>

#include "core/machine/model_shape.hpp"
#include "core/residency/memory_plan.hpp"
#include "runtime/host/op_context.hpp"
#include "runtime/host/request_buffers.hpp"

namespace hybridgen {

// Tokens that threads' shares of a scan are multiples of: few, so that shares are even. Logits, and what goes
// over all of them again, are shared alike: a thread finds its own in its cache.
inline constexpr std::int64_t kScanGrain = 64;

class HostOps {
 public:
  // Both outlive the object.
  HostOps(const ModelShape& shape, const MemoryPlan& plan);

  // An op of the host role, on the lane that calls it. Returns the count of the outcome that it produces, 0
  // for an op that produces none.
  std::int64_t run(const OpContext& context, RequestBuffers& request) const;
  // Scratch that a selection in this slot needs with this many threads; the owner of the buffers provides it.
  static std::size_t select_scratch(const SlotPlan& slot, int threads);

 private:
  void host_logits(const OpContext& context, RequestBuffers& request) const;
  std::int64_t select(const OpContext& context, RequestBuffers& request) const;
  void choose(const OpContext& context, RequestBuffers& request) const;
  void close_gaps(const OpContext& context, RequestBuffers& request) const;
  void unite_groups(const OpContext& context, RequestBuffers& request) const;
  void choose_together(const OpContext& context, RequestBuffers& request) const;
  void margins_of_groups(const OpContext& context, RequestBuffers& request) const;
  void scores_of_groups(const OpContext& context, RequestBuffers& request) const;
  void pack(const OpContext& context, RequestBuffers& request) const;
  void host_attend(const OpContext& context, RequestBuffers& request) const;

  const ModelShape& shape_;
  const MemoryPlan& plan_;
  kernels::KvType kv_type_;
  Bytes head_row_;  // one K or V row of one head
  float scale_;     // 1 / sqrt(head_dim)
};

}  // namespace hybridgen
