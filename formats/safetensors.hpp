// Weights in the safetensors format, as Hugging Face folders hold them: 8 bytes little-endian header length,
// a JSON header (name -> dtype, shape, [begin, end) in the data), then the data. Files are mapped, not read:
// a tensor costs memory only while it is copied. Every claim of the header is checked before anything is
// handed out. Errors are BadInput naming the file, the tensor and a remedy; all of a header at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/base/units.hpp"

namespace hybridgen {

// Types a tensor may have; others in a file are refused.
enum class SafetensorsType { f16, bf16, f32 };

// One tensor, row-major, little-endian; `data` may be unaligned and lives as long as its file.
struct SafetensorsTensor {
  SafetensorsType type = SafetensorsType::f16;
  std::vector<std::int64_t> shape;
  const std::byte* data = nullptr;
  Bytes bytes = 0;
};

// An open file. Movable through its shared mapping; tensors stay valid while a copy lives.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::string& path);

  const std::map<std::string, SafetensorsTensor>& tensors() const { return tensors_; }

 private:
  std::shared_ptr<const std::byte> mapping_;
  std::map<std::string, SafetensorsTensor> tensors_;
};

// The weights of a model folder: model.safetensors, or the parts that model.safetensors.index.json lists.
class SafetensorsFolder {
 public:
  explicit SafetensorsFolder(const std::string& folder);

  // Null when there is no such tensor.
  const SafetensorsTensor* find(const std::string& name) const;

  const std::map<std::string, SafetensorsTensor>& tensors() const { return tensors_; }
  std::size_t size() const { return tensors_.size(); }

 private:
  std::vector<SafetensorsFile> files_;
  std::map<std::string, SafetensorsTensor> tensors_;
};

}  // namespace hybridgen
