// The fitted predictor of queries in this machine's memory, beside the weights that it was fitted to.
#pragma once

#include "runtime/weights/model_weights.hpp"

namespace hybridgen {

// What the allocator will be asked for.
Bytes allocated_predictor_bytes(const ModelShape& shape);

// Root mean square of the last layer's q projection: tells weights of one shape apart.
float q_rms(const ModelWeights& weights);

// Copies layers.<i>.down and .up, and lets the layers look at them. BadInput where a tensor is missing or not
// fp16, or q_rms is another model's.
void load_predictor(const TensorLookup& lookup, const WeightAllocator& allocate, ModelWeights& weights);

// Random factors, small beside the projection: for timing, with weights that are made up as well.
void dummy_predictor(std::uint64_t seed, const WeightAllocator& allocate, ModelWeights& weights);

}  // namespace hybridgen
