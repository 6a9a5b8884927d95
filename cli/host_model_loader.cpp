#include "cli/host_model_loader.hpp"

#include "core/base/error.hpp"
#include "formats/safetensors.hpp"
#include "runtime/host/tier_memory.hpp"

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

}  // namespace

std::shared_ptr<const HostModel> load_host_model(const ModelFiles& files) {
  if (files.folder.empty()) {
    throw NotAvailable(
        "model " + files.shape.name +
        ": only its shape is known here, so it can be simulated but not run; put its Hugging Face "
        "folder under models/ (./dev setup makes smollm2-135m-instruct)");
  }
  const SafetensorsFolder folder(files.folder);
  auto memory = std::make_shared<TierMemory>("weights");
  auto model = std::make_shared<HostModel>();
  model->shape = files.shape;
  model->weights = load_weights(
      files.shape,
      [&folder](const std::string& name) -> std::optional<TensorView> {
        const SafetensorsTensor* tensor = folder.find(name);
        if (tensor == nullptr) return std::nullopt;
        return TensorView{type_of(tensor->type), tensor->shape, tensor->data};
      },
      [&memory](Bytes bytes) { return memory->allocate(bytes); });
  model->memory = memory;
  return model;
}

}  // namespace hybridgen::cli
