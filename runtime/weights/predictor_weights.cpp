#include "runtime/weights/predictor_weights.hpp"

#include <cmath>
#include <cstring>

#include "core/base/error.hpp"
#include "runtime/kernels/half.hpp"

namespace hybridgen {
namespace {

using kernels::Half;

Bytes aligned(Bytes bytes) {
  return (bytes + kWeightAlignment - 1) / kWeightAlignment * kWeightAlignment;
}

Bytes down_bytes(const ModelShape& shape) {
  return kWeightBytes * shape.predictor.rank * shape.hidden;
}
Bytes up_bytes(const ModelShape& shape) {
  return kWeightBytes * shape.predictor.rank * shape.q_width();
}

// Gives every layer but the first its factors; `fill` writes them.
template <class Fill>
void lay_out(const WeightAllocator& allocate, ModelWeights& weights, const Fill& fill) {
  const ModelShape& shape = weights.shape;
  std::byte* at = allocate(allocated_predictor_bytes(shape));
  for (std::size_t i = 1; i < weights.layers.size(); ++i) {
    for (const bool up : {false, true}) {
      const Bytes bytes = up ? up_bytes(shape) : down_bytes(shape);
      fill(i, up, at, bytes);
      (up ? weights.layers[i].predictor.up : weights.layers[i].predictor.down) =
          reinterpret_cast<const Half*>(at);
      at += aligned(bytes);
    }
  }
}

}  // namespace

Bytes allocated_predictor_bytes(const ModelShape& shape) {
  return (shape.layers - 1) * (aligned(down_bytes(shape)) + aligned(up_bytes(shape)));
}

float q_rms(const ModelWeights& weights) {
  const std::int64_t count = weights.shape.q_width() * weights.shape.hidden;
  double sum = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    const double value = kernels::to_float(weights.layers.back().qkv.matrix[i]);
    sum += value * value;
  }
  return static_cast<float>(std::sqrt(sum / static_cast<double>(count)));
}

void load_predictor(const TensorLookup& lookup, const WeightAllocator& allocate, ModelWeights& weights) {
  const std::string remedy =
      "; remove lookahead.safetensors, and run `hybridgen fit-lookahead` for this model again";
  const auto find = [&](const std::string& name, TensorType type) {
    const std::optional<TensorView> tensor = lookup(name);
    if (!tensor || tensor->type != type) {
      throw BadInput("lookahead.safetensors of " + weights.shape.name + ": " + name +
                     " is missing or of another type" + remedy);
    }
    return *tensor;
  };
  float expected = 0;
  std::memcpy(&expected, find("q_rms", TensorType::f32).data, sizeof(expected));
  const float found = q_rms(weights);
  if (!(std::abs(found - expected) <= 1e-5F * found)) {
    throw BadInput("lookahead.safetensors of " + weights.shape.name +
                   " was fitted to other weights of the same shape" + remedy);
  }
  lay_out(allocate, weights, [&](std::size_t layer, bool up, std::byte* target, Bytes bytes) {
    const std::string name = "layers." + std::to_string(layer) + (up ? ".up" : ".down");
    std::memcpy(target, find(name, TensorType::f16).data, static_cast<std::size_t>(bytes));
  });
}

void dummy_predictor(std::uint64_t seed, const WeightAllocator& allocate, ModelWeights& weights) {
  std::uint64_t state = seed * 2 + 1;
  lay_out(allocate, weights, [&](std::size_t, bool, std::byte* target, Bytes bytes) {
    auto* halves = reinterpret_cast<Half*>(target);
    for (Bytes i = 0; i < bytes / kWeightBytes; ++i) {
      state = state * 6364136223846793005U + 1442695040888963407U;
      const auto bits = static_cast<std::int32_t>(state >> 32);
      halves[i] = kernels::to_half(static_cast<float>(bits) * (0.02F / 2147483648.0F));
    }
  });
}

}  // namespace hybridgen
