// Fits the skew of a layer's queries: an orthogonal A per KV head, the right singular vectors of all queries
// of its query heads on a text, by falling singular value. With q A and k A every score stays what it was,
// and a few columns carry most of it (InfiniGen).
#pragma once

#include <memory>
#include <vector>

#include "core/base/units.hpp"
#include "runtime/host/host_model.hpp"

namespace hybridgen {

// Of queries as attention uses them, positions applied: [tokens][q_width]. Returns
// [kv_heads][head_dim][head_dim], column by column. The sign of each column is open.
std::vector<float> skew_of(const ModelShape& shape, const std::vector<float>& queries);

// By layer. inputs: of every layer, as layer_inputs gives them. Layers are shared out over the threads.
std::vector<std::vector<float>> fit_skew(const HostModel& model,
                                         const std::vector<std::vector<float>>& inputs, int threads);

}  // namespace hybridgen
