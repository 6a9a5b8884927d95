// The file beside a model's weights that `hybridgen fit-skew` writes: skew.safetensors, one fp32 tensor
// `skew` [layers][kv_heads][head_dim][head_dim], column by column.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/machine/model_shape.hpp"

namespace hybridgen {

std::string skew_path(const std::string& model_folder);
// Nothing where the folder has none. BadInput where it is damaged or of another model.
std::optional<std::vector<float>> read_skew(const std::string& model_folder, const ModelShape& shape);
// Replaces what is there. UserError (failed) where it cannot be written.
void write_skew(const std::string& path, const ModelShape& shape, const std::vector<float>& skew);

}  // namespace hybridgen
