// A model's weights in the card's memory. Executors of one model may share them.
#pragma once

#include <memory>

#include "runtime/host/host_model.hpp"
#include "runtime/host/tier_memory.hpp"
#include "runtime/weights/model_weights.hpp"

namespace hybridgen::cuda {

struct CardWeights {
  TierMemory memory;
  ModelWeights at;
};

// Copies all of them. NotAvailable when the card has not the memory.
std::shared_ptr<const CardWeights> weights_on_card(const HostModel& model);

}  // namespace hybridgen::cuda
