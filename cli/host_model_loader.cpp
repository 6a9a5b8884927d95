#include "cli/host_model_loader.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <optional>
#include <set>

#include "core/base/error.hpp"
#include "formats/lookahead_file.hpp"
#include "formats/safetensors.hpp"
#include "formats/skew_file.hpp"
#include "runtime/weights/predictor_weights.hpp"

namespace hybridgen::cli {
namespace {

TensorType type_of(SafetensorsType type) {
  switch (type) {
    case SafetensorsType::f16:
      return TensorType::f16;
    case SafetensorsType::bf16:
      return TensorType::bf16;
    case SafetensorsType::f32:
      return TensorType::f32;
  }
  return TensorType::f16;
}

// Tensors that nobody asked for: the model computes something that its configuration does not say. Known to
// be harmless are tables that are computed here, and the copy of a tied embedding.
void refuse_unused(const ModelShape& shape, const SafetensorsFolder& folder,
                   const std::set<std::string>& used) {
  std::string errors;
  for (const auto& [name, tensor] : folder.tensors()) {
    const bool harmless =
        name.ends_with("rotary_emb.inv_freq") || (shape.tied_embeddings && name == "lm_head.weight");
    if (!harmless && !used.contains(name)) errors += "\n  " + name + ": is not used by the configuration";
  }
  if (errors.empty()) return;
  throw BadInput("weights of " + shape.name + ":" + errors +
                 "\ndo the configuration and the weights belong to the same model?");
}

// Where `hybridgen fit-skew` has written one.
void take_skew(const ModelFiles& files, TierMemory& memory, ModelWeights& weights) {
  const std::optional<Skew> skew = read_skew(files.folder, files.shape);
  if (!skew) return;
  const float found = q_rms(weights);
  if (!(std::abs(found - skew->q_rms) <= 1e-5F * found)) {
    throw BadInput(files.folder + "/" + kSkewFile +
                   ": was fitted to other weights of the same shape; remove the file, and run `hybridgen "
                   "fit-skew` again");
  }
  for (std::size_t i = 0; i < weights.layers.size(); ++i) {
    const std::vector<float>& columns = skew->layers[i];
    float* target = memory.array<float>(static_cast<std::int64_t>(columns.size()));
    std::copy(columns.begin(), columns.end(), target);
    weights.layers[i].skew = target;
  }
}

}  // namespace

void require_skew(const MemoryPlan& plan, const ModelFiles& files) {
  const std::string path = files.folder + "/" + kSkewFile;
  if (plan.partial.columns == 0 || std::filesystem::exists(path)) return;
  throw BadInput(path +
                 ": missing, and attention partial-keys chooses by skewed columns; write it with `hybridgen "
                 "fit-skew`");
}

void require_weights(const ModelFiles& files) {
  if (!files.folder.empty()) return;
  throw NotAvailable(
      "model " + files.shape.name +
      ": only its shape is known here, so it can be simulated but not run; put its Hugging Face "
      "folder under models/ (./dev setup makes smollm2-135m-instruct), or, where only times matter, "
      "give --set weights=dummy");
}

std::shared_ptr<const HostModel> load_host_model(const ModelFiles& files, const MemorySource& source) {
  require_weights(files);
  const SafetensorsFolder folder(files.folder);
  std::set<std::string> used;
  auto memory = std::make_shared<TierMemory>("weights", source);
  auto model = std::make_shared<HostModel>();
  model->shape = files.shape;
  model->weights = load_weights(
      files.shape,
      [&](const std::string& name) -> std::optional<TensorView> {
        const SafetensorsTensor* tensor = folder.find(name);
        if (tensor == nullptr) return std::nullopt;
        used.insert(name);
        return TensorView{type_of(tensor->type), tensor->shape, tensor->data};
      },
      [&memory](Bytes bytes) { return memory->allocate(bytes); });
  refuse_unused(files.shape, folder, used);
  if (files.shape.predictor.present()) {
    const SafetensorsFile fitted(files.folder + "/" + kLookaheadFile);
    load_predictor(
        [&](const std::string& name) -> std::optional<TensorView> {
          const auto found = fitted.tensors().find(name);
          if (found == fitted.tensors().end()) return std::nullopt;
          return TensorView{type_of(found->second.type), found->second.shape, found->second.data};
        },
        [&memory](Bytes bytes) { return memory->allocate(bytes); }, model->weights);
  }
  take_skew(files, *memory, model->weights);
  model->memory = memory;
  return model;
}

std::shared_ptr<const HostModel> dummy_host_model(const ModelShape& shape, std::uint64_t seed,
                                                  const MemorySource& source) {
  auto memory = std::make_shared<TierMemory>("weights", source);
  auto model = std::make_shared<HostModel>();
  model->shape = shape;
  const auto allocate = [&memory](Bytes bytes) { return memory->allocate(bytes); };
  model->weights = dummy_weights(shape, seed, allocate);
  if (shape.predictor.present()) dummy_predictor(seed, allocate, model->weights);
  model->memory = memory;
  return model;
}

}  // namespace hybridgen::cli
