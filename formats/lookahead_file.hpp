// lookahead.safetensors beside a model's weights: what `hybridgen fit-lookahead` writes.
//   layers.<i>.down [rank][hidden] and layers.<i>.up [q_width][rank], fp16, for every layer but the first:
//     up (down x) is added to the q projection of x, the normed input of the layer before
//   query_cosine.<plain|fitted>, error_permille.<plain|fitted>.<raw|corrected>: [layers], fp32, as measured
//   on
//     tokens that the fit has not seen
//   q_rms [1]: root mean square of the last layer's q projection, so that other weights of the same shape are
//     told apart
#pragma once

#include <array>
#include <map>
#include <string>
#include <vector>

#include "core/machine/model_shape.hpp"

namespace hybridgen {

inline constexpr const char* kLookaheadFile = "lookahead.safetensors";

// One layer to be written. [0]: plain projection, logits as they are; [1]: fitted, corrected.
struct LookaheadLayer {
  const std::byte* down = nullptr;  // fp16
  const std::byte* up = nullptr;
  std::array<double, 2> cosine{};
  std::array<std::array<double, 2>, 2> error_permille{};
};

// layers: all of the model's; the first one's factors are not written. metadata: where it comes from.
void write_lookahead(const std::string& path, const ModelShape& shape, std::int64_t rank, float q_rms,
                     const std::vector<LookaheadLayer>& layers,
                     const std::map<std::string, std::string>& metadata);

// What scheduling needs of the file in this model folder; nothing fitted where there is no such file.
// BadInput where it does not belong to the shape.
QueryPredictor read_query_predictor(const std::string& folder, const ModelShape& shape);

}  // namespace hybridgen
