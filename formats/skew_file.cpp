#include "formats/skew_file.hpp"

#include <cstring>
#include <filesystem>

#include "core/base/error.hpp"
#include "formats/safetensors_writer.hpp"

namespace hybridgen {
namespace {

std::string layer_name(std::size_t layer) {
  return "layers." + std::to_string(layer) + ".skew";
}

SafetensorsTensor tensor_of(const std::vector<float>& values, std::vector<std::int64_t> extents) {
  return {SafetensorsType::f32, std::move(extents), reinterpret_cast<const std::byte*>(values.data()),
          static_cast<Bytes>(values.size() * sizeof(float))};
}

}  // namespace

void write_skew(const std::string& path, const ModelShape& shape, const Skew& skew,
                const std::map<std::string, std::string>& metadata) {
  std::vector<NamedTensor> tensors;
  for (std::size_t i = 0; i < skew.layers.size(); ++i) {
    tensors.push_back(
        {layer_name(i), tensor_of(skew.layers[i], {shape.kv_heads, shape.head_dim, shape.head_dim})});
  }
  const std::vector<float> q_rms = {skew.q_rms};
  tensors.push_back({"q_rms", tensor_of(q_rms, {1})});
  write_safetensors(path, tensors, metadata);
}

std::optional<Skew> read_skew(const std::string& folder, const ModelShape& shape) {
  const std::filesystem::path path = std::filesystem::path(folder) / kSkewFile;
  std::error_code code;
  if (!std::filesystem::exists(path, code)) return std::nullopt;
  const SafetensorsFile file(path.string());
  std::string errors;
  const auto read = [&](const std::string& name, const std::vector<std::int64_t>& extents) {
    const auto found = file.tensors().find(name);
    std::vector<float> values;
    if (found == file.tensors().end()) {
      errors += "\n  " + name + ": missing";
    } else if (found->second.type != SafetensorsType::f32 || found->second.shape != extents) {
      errors += "\n  " + name + ": not of the type and shape that " + shape.name + " needs";
    } else {
      values.resize(static_cast<std::size_t>(found->second.bytes) / sizeof(float));
      std::memcpy(values.data(), found->second.data, values.size() * sizeof(float));
    }
    return values;
  };
  Skew skew;
  for (int i = 0; i < shape.layers; ++i) {
    skew.layers.push_back(
        read(layer_name(static_cast<std::size_t>(i)), {shape.kv_heads, shape.head_dim, shape.head_dim}));
  }
  const std::vector<float> q_rms = read("q_rms", {1});
  if (!errors.empty()) {
    throw BadInput(path.string() + ": does not belong to " + shape.name + ":" + errors +
                   "\nremove the file, and run `hybridgen fit-skew` again");
  }
  skew.q_rms = q_rms.front();
  return skew;
}

}  // namespace hybridgen
