// Rotary position embedding in Hugging Face's half-split convention for Llama: element i of a head is paired
// with element i + head_dim/2 and both are turned by position * theta^(-2i/head_dim).
#pragma once

#include <cstdint>

namespace hybridgen::kernels {

// cosine[i], sine[i] for i < head_dim/2 at one position. Angles are computed in double: exact to fp32
// rounding at any context length. Costs head_dim/2 powers and sines: call it once per token, not per layer.
void rope_angles(std::int64_t position, int head_dim, double theta, float* cosine, float* sine);

// Turns `heads` contiguous heads x[heads][head_dim] in place. Called for the query heads and the new K heads.
void rope(float* x, int heads, int head_dim, const float* cosine, const float* sine);

}  // namespace hybridgen::kernels
