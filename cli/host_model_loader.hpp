// Brings a model's weights into this machine's memory: formats reads the files, runtime lays them out.
#pragma once

#include <cstdint>
#include <memory>

#include "core/residency/memory_plan.hpp"
#include "formats/model.hpp"
#include "runtime/host/host_model.hpp"
#include "runtime/host/tier_memory.hpp"

namespace hybridgen::cli {

// NotAvailable where only the model's shape is known.
void require_weights(const ModelFiles& files);
// The same, and BadInput where the files are damaged or belong to another model. Into memory of `source`.
std::shared_ptr<const HostModel> load_host_model(const ModelFiles& files,
                                                 const MemorySource& source = system_memory());
// BadInput where the plan chooses rows by a skew and none lies beside the weights.
void require_skew(const MemoryPlan& plan, const ModelFiles& files);
// The shape alone, with weights made up from the seed.
std::shared_ptr<const HostModel> dummy_host_model(const ModelShape& shape, std::uint64_t seed,
                                                  const MemorySource& source = system_memory());

}  // namespace hybridgen::cli
