// The skew of a model's queries on a text: full attention over it, per layer and KV head the right singular
// vectors of the rotated queries.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "runtime/host/host_model.hpp"

namespace hybridgen::cli {

// [layers][kv_heads][head_dim][head_dim], column by column. On all of this machine's cores.
std::vector<float> fit_skew(const std::shared_ptr<const HostModel>& model,
                            const std::vector<std::int32_t>& ids);

}  // namespace hybridgen::cli
