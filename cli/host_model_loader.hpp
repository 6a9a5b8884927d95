// Brings a model's weights into this machine's memory: formats reads the files, runtime lays them out.
#pragma once

#include <memory>

#include "formats/model.hpp"
#include "runtime/host/host_model.hpp"

namespace hybridgen::cli {

// NotAvailable where only the model's shape is known.
std::shared_ptr<const HostModel> load_host_model(const ModelFiles& files);

}  // namespace hybridgen::cli
