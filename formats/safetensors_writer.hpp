// Writes a safetensors file: what SafetensorsFile reads.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "formats/safetensors.hpp"

namespace hybridgen {

struct NamedTensor {
  std::string name;
  SafetensorsTensor tensor;  // of type f16 or f32; its data is read while writing
};

// Written aside and renamed when whole. UserError (status 1) where nothing can be written there. Equal
// content gives equal bytes.
void write_safetensors(const std::string& path, const std::vector<NamedTensor>& tensors,
                       const std::map<std::string, std::string>& metadata);

}  // namespace hybridgen
