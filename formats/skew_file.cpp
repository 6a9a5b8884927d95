#include "formats/skew_file.hpp"

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/base/error.hpp"
#include "formats/safetensors.hpp"

namespace hybridgen {
namespace {

std::vector<std::int64_t> extents(const ModelShape& shape) {
  return {shape.layers, shape.kv_heads, shape.head_dim, shape.head_dim};
}

}  // namespace

std::string skew_path(const std::string& model_folder) {
  return (std::filesystem::path(model_folder) / "skew.safetensors").string();
}

std::optional<std::vector<float>> read_skew(const std::string& model_folder, const ModelShape& shape) {
  const std::string path = skew_path(model_folder);
  if (!std::filesystem::exists(path)) return std::nullopt;
  const SafetensorsFile file(path);
  const auto found = file.tensors().find("skew");
  if (found == file.tensors().end() || found->second.type != SafetensorsType::f32 ||
      found->second.shape != extents(shape)) {
    throw BadInput(path + ": has no fp32 tensor `skew` of " + shape.name +
                   "'s layers, KV heads and head_dim; write it anew with `hybridgen fit-skew`");
  }
  std::vector<float> skew(static_cast<std::size_t>(found->second.bytes) / sizeof(float));
  std::memcpy(skew.data(), found->second.data, skew.size() * sizeof(float));
  return skew;
}

void write_skew(const std::string& path, const ModelShape& shape, const std::vector<float>& skew) {
  const std::size_t bytes = skew.size() * sizeof(float);
  nlohmann::ordered_json header;
  header["skew"] = {{"dtype", "F32"}, {"shape", extents(shape)}, {"data_offsets", {0, bytes}}};
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');
  std::ofstream file(path, std::ios::binary);
  const auto length = static_cast<std::uint64_t>(text.size());
  for (int b = 0; b < 8; ++b) file.put(static_cast<char>(length >> (8 * b)));
  file << text;
  file.write(reinterpret_cast<const char*>(skew.data()), static_cast<std::streamsize>(bytes));
  file.flush();
  if (!file) throw UserError(ExitCode::failed, path + ": cannot be written");
}

}  // namespace hybridgen
