// K and V of whole layers in the device's staging buffers, two layers' in turn, so that one layer's come up
// while the other's are attended to. One step's copies in and out, and what must wait for which.
#pragma once

#include <array>
#include <utility>
#include <vector>

#include "core/policy/model_ops.hpp"
#include "core/step/step_builder.hpp"

namespace hybridgen {

inline constexpr int kStagingBuffers = 2;

class StagedKv {
 public:
  StagedKv(const Decision& decision, const ModelOps& ops, StepBuilder& builder)
      : decision_(decision), ops_(ops), builder_(builder) {}

  static int buffer(int layer) { return layer % kStagingBuffers; }

  // The buffer's new rows of two layers ago must be on the host before they are written over.
  KvTarget target(int layer) const { return {KvPlace::staging, buffer(layer), offloads_[slot(layer)]}; }

  // Every request's cached K and V of the layer, once the buffer is free.
  void load(int layer, const std::vector<OpId>& buffer_free) {
    std::vector<OpId>& loads = loads_[slot(layer)];
    loads.clear();
    for (const RequestDecision& row : decision_.rows) {
      if (row.first_position == 0) continue;  // prefill: nothing is cached yet
      loads.push_back(builder_.add(ops_.load_kv(row, layer, buffer(layer), row.first_position), buffer_free));
    }
  }

  // Full attention of a request's new tokens over the layer's buffer.
  OpId attend(const RequestDecision& row, int layer, OpId norm_qkv) {
    std::vector<OpId> ready = loads_[slot(layer)];
    ready.push_back(norm_qkv);
    const Tokens context = row.first_position + row.query_tokens;
    return builder_.add(ops_.attend(row, layer, KvPlace::staging, buffer(layer), context), ready);
  }

  // A request's new rows down to the host.
  Op offload(const RequestDecision& row, int layer) const {
    return ops_.offload_kv(row, layer, KvPlace::staging, buffer(layer), row.first_position, row.query_tokens);
  }

  // The copies after which the layer's buffer may be written over.
  void emptied_by(int layer, std::vector<OpId> offloads) { offloads_[slot(layer)] = std::move(offloads); }

 private:
  static std::size_t slot(int layer) { return static_cast<std::size_t>(buffer(layer)); }

  const Decision& decision_;
  const ModelOps& ops_;
  StepBuilder& builder_;
  std::array<std::vector<OpId>, kStagingBuffers> loads_;     // by buffer: copies that fill it
  std::array<std::vector<OpId>, kStagingBuffers> offloads_;  // by buffer: copies that empty it
};

}  // namespace hybridgen
