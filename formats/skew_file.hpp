// skew.safetensors beside a model's weights: what `hybridgen fit-skew` writes.
//   layers.<i>.skew [kv_heads][head_dim][head_dim], fp32: an orthogonal matrix per KV head, column by column
//   q_rms [1]: root mean square of the last layer's q projection, so that other weights of the same shape are
//     told apart
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/machine/model_shape.hpp"

namespace hybridgen {

inline constexpr const char* kSkewFile = "skew.safetensors";

struct Skew {
  std::vector<std::vector<float>> layers;
  float q_rms = 0;
};

// Replaces what is there. metadata: where it comes from.
void write_skew(const std::string& path, const ModelShape& shape, const Skew& skew,
                const std::map<std::string, std::string>& metadata);

// Nothing where the folder has none. BadInput where it is damaged or of another shape.
std::optional<Skew> read_skew(const std::string& folder, const ModelShape& shape);

}  // namespace hybridgen
