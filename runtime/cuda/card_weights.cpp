#include "runtime/cuda/card_weights.hpp"

#include "runtime/cuda/device_memory.hpp"

namespace hybridgen::cuda {
namespace {

// Null where there is none.
template <class T>
const T* on_card(const T* matrix, std::int64_t elements, TierMemory& memory) {
  if (matrix == nullptr) return nullptr;
  T* to = memory.array<T>(elements);
  check(cudaMemcpy(to, matrix, static_cast<std::size_t>(elements) * sizeof(T), cudaMemcpyHostToDevice),
        "upload of what was fitted");
  return to;
}

// Where one was fitted: in memory of its own.
void upload_predictor(const ModelWeights& from, TierMemory& memory, ModelWeights& to) {
  const ModelShape& shape = from.shape;
  for (std::size_t i = 0; i < to.layers.size(); ++i) {
    const PredictorWeights& predictor = from.layers.at(i).predictor;
    to.layers[i].predictor = {on_card(predictor.down, shape.predictor.rank * shape.hidden, memory),
                              on_card(predictor.up, shape.q_width() * shape.predictor.rank, memory)};
  }
}

}  // namespace

std::shared_ptr<const CardWeights> weights_on_card(const HostModel& model) {
  const auto weights =
      std::make_shared<CardWeights>(CardWeights{TierMemory("weights on the GPU", device_memory()), {}});
  const ModelWeights& from = model.weights;
  std::byte* base = weights->memory.allocate(from.bytes);
  // The embedding is the first tensor of the one allocation that all weights lie in.
  check(cudaMemcpy(base, from.embedding, static_cast<std::size_t>(from.bytes), cudaMemcpyHostToDevice),
        "upload of the weights");
  weights->at = weights_at(model.shape, base);
  upload_predictor(from, weights->memory, weights->at);
  for (std::size_t i = 0; i < weights->at.layers.size(); ++i) {
    const std::int64_t elements = model.shape.kv_width() * model.shape.head_dim;
    weights->at.layers[i].skew = on_card(from.layers.at(i).skew, elements, weights->memory);
  }
  return weights;
}

}  // namespace hybridgen::cuda
