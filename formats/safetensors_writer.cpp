#include "formats/safetensors_writer.hpp"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/base/check.hpp"
#include "core/base/error.hpp"

namespace hybridgen {
namespace {

constexpr std::size_t kAlignment = 8;  // of the data behind the header, as the format's own library has it

std::string header_of(const std::vector<NamedTensor>& tensors,
                      const std::map<std::string, std::string>& metadata) {
  nlohmann::ordered_json header;
  header["__metadata__"] = metadata;
  Bytes at = 0;
  for (const auto& [name, tensor] : tensors) {
    HG_CHECK(tensor.type != SafetensorsType::bf16, "tensor " << name);
    const char* type = tensor.type == SafetensorsType::f16 ? "F16" : "F32";
    header[name] = {{"dtype", type}, {"shape", tensor.shape}, {"data_offsets", {at, at + tensor.bytes}}};
    at += tensor.bytes;
  }
  std::string text = header.dump();
  text.append((kAlignment - text.size() % kAlignment) % kAlignment, ' ');
  return text;
}

}  // namespace

void write_safetensors(const std::string& path, const std::vector<NamedTensor>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  const std::string header = header_of(tensors, metadata);
  const std::string aside = path + ".partial-" + std::to_string(::getpid());
  std::error_code code;
  {
    std::ofstream stream(aside, std::ios::binary);
    std::uint64_t length = header.size();
    for (int i = 0; i < 8; ++i, length >>= 8) stream.put(static_cast<char>(length & 0xff));
    stream << header;
    for (const auto& [name, tensor] : tensors) {
      stream.write(reinterpret_cast<const char*>(tensor.data), tensor.bytes);
    }
    stream.close();
    if (stream) std::filesystem::rename(aside, path, code);
    if (stream && !code) return;
  }
  std::filesystem::remove(aside, code);
  throw UserError(ExitCode::failed, path + ": cannot be written; is there room, and may you write there?");
}

}  // namespace hybridgen
