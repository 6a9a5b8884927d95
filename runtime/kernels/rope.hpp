// Rotary position embedding in Hugging Face's half-split convention: element i of a head is paired with
// element i + head_dim/2 and both are turned by position * frequency[i].
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/machine/model_blocks.hpp"

namespace hybridgen::kernels {

// theta^(-2i/head_dim) for i < head_dim/2, in radians per token, then scaled as Llama 3.1 does (the rule
// stands at RopeScaling). Once per model.
std::vector<double> rope_frequencies(int head_dim, double theta, const RopeScaling& scaling = {});

// cosine[i], sine[i] of position * frequencies[i]. Angles are computed in double: exact to fp32 rounding at
// any context length. Costs a sine and a cosine per pair: call it once per token, not per layer.
void rope_angles(std::int64_t position, std::span<const double> frequencies, float* cosine, float* sine);

// Turns `heads` contiguous heads x[heads][head_dim] in place. Called for the query heads and the new K heads.
void rope(float* x, int heads, int head_dim, const float* cosine, const float* sine);

}  // namespace hybridgen::kernels
