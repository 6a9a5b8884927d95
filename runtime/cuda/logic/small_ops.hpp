// One element each of the small device ops, in the host kernels' conventions.
#pragma once

#include <cmath>
#include <cstdint>

#include "runtime/cuda/logic/host_device.hpp"

namespace hybridgen::cuda {

// Rotary embedding, half-split as in Hugging Face's Llama: element i of a head with element i + head_dim / 2.
struct RopePair {
  float low = 0;
  float high = 0;
};
HYBRIDGEN_HD inline RopePair rotate(RopePair x, float cosine, float sine) {
  return {x.low * cosine - x.high * sine, x.high * cosine + x.low * sine};
}

// silu(gate) * up.
HYBRIDGEN_HD inline float gated(float gate, float up) {
  return gate / (1.0F + expf(-gate)) * up;
}

// Argmax with the lowest index on ties, whatever the order of combination.
struct Best {
  float value = -HUGE_VALF;
  std::int32_t index = INT32_MAX;
};
HYBRIDGEN_HD inline Best better(const Best& a, const Best& b) {
  if (a.value != b.value) return a.value > b.value ? a : b;
  return a.index < b.index ? a : b;
}

}  // namespace hybridgen::cuda
