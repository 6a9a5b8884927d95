#include "formats/safetensors.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "core/base/error.hpp"

namespace hybridgen {
namespace {

using Json = nlohmann::json;

// The format's own limit; a larger length means that this is no safetensors file.
constexpr std::uint64_t kLargestHeader = 100'000'000;
constexpr const char* kFetchAgain = "; is the download complete?";

struct Mapped {
  std::shared_ptr<const std::byte> data;
  std::uint64_t size = 0;
};

[[noreturn]] void fail_with_errno(const std::string& path) {
  throw BadInput(path + ": " + std::strerror(errno));
}

Mapped map_file(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) fail_with_errno(path);
  struct stat status = {};
  if (::fstat(file, &status) != 0 || !S_ISREG(status.st_mode)) {
    ::close(file);
    throw BadInput(path + ": not a regular file");
  }
  const auto size = static_cast<std::uint64_t>(status.st_size);
  if (size < 8) {
    ::close(file);
    throw BadInput(path + ": " + std::to_string(size) + " bytes are no safetensors file" + kFetchAgain);
  }
  void* address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file, 0);
  ::close(file);  // the mapping keeps the file
  if (address == MAP_FAILED) fail_with_errno(path);
  const auto unmap = [size](const std::byte* p) { ::munmap(const_cast<std::byte*>(p), size); };
  return {{static_cast<const std::byte*>(address), unmap}, size};
}

// JSON without exceptions, and with repeated names reported: the parser itself would keep the last silently.
Json parse_header(const std::string& path, const char* begin, std::uint64_t length) {
  std::vector<std::set<std::string>> open_objects;
  std::string repeated;
  const auto watch = [&](int, Json::parse_event_t event, Json& parsed) {
    if (event == Json::parse_event_t::object_start) open_objects.emplace_back();
    if (event == Json::parse_event_t::object_end) open_objects.pop_back();
    if (event == Json::parse_event_t::key) {
      const auto name = parsed.get<std::string>();
      if (!open_objects.back().insert(name).second && repeated.empty()) repeated = name;
    }
    return true;
  };
  Json header = Json::parse(begin, begin + length, watch, false);
  if (header.is_discarded() || !header.is_object()) {
    throw BadInput(path + ": the header is not a JSON object" + kFetchAgain);
  }
  if (!repeated.empty())
    throw BadInput(path + ": the header names " + repeated + " twice; write the file again");
  return header;
}

std::optional<SafetensorsType> type_of(const std::string& name) {
  if (name == "F16") return SafetensorsType::f16;
  if (name == "BF16") return SafetensorsType::bf16;
  if (name == "F32") return SafetensorsType::f32;
  return std::nullopt;
}

// A list of non-negative integers; nullopt for anything else.
std::optional<std::vector<std::int64_t>> integers(const Json& entry, const char* key) {
  const auto found = entry.find(key);
  if (found == entry.end() || !found->is_array()) return std::nullopt;
  std::vector<std::int64_t> values;
  for (const Json& item : *found) {
    if (!item.is_number_unsigned() || item.get<std::uint64_t>() > INT64_MAX) return std::nullopt;
    values.push_back(item.get<std::int64_t>());
  }
  return values;
}

// Bytes of a tensor, nullopt on overflow.
std::optional<Bytes> size_of(SafetensorsType type, const std::vector<std::int64_t>& shape) {
  Bytes bytes = type == SafetensorsType::f32 ? 4 : 2;
  for (const std::int64_t extent : shape) {
    if (__builtin_mul_overflow(bytes, extent, &bytes)) return std::nullopt;
  }
  return bytes;
}

// One entry of the header to a tensor; returns what is wrong with it, empty if nothing.
std::string read_entry(const Json& entry, const std::byte* data, Bytes data_bytes,
                       SafetensorsTensor& tensor) {
  if (!entry.is_object()) return "not an object";
  const auto dtype = entry.find("dtype");
  if (dtype == entry.end() || !dtype->is_string()) return "dtype is missing";
  const std::optional<SafetensorsType> type = type_of(dtype->get<std::string>());
  if (!type) {
    return "dtype " + dtype->get<std::string>() +
           " is not supported (F16, BF16 and F32 are); convert the weights";
  }
  const auto shape = integers(entry, "shape");
  if (!shape) return "shape is not a list of sizes";
  const auto offsets = integers(entry, "data_offsets");
  if (!offsets || offsets->size() != 2) return "data_offsets is not [begin, end]";
  const Bytes begin = (*offsets)[0], end = (*offsets)[1];
  if (begin > end || end > data_bytes) {
    return "data_offsets [" + std::to_string(begin) + ", " + std::to_string(end) + ") lie outside the " +
           std::to_string(data_bytes) + " bytes of data" + kFetchAgain;
  }
  if (size_of(*type, *shape) != end - begin) {
    return "shape and dtype do not make " + std::to_string(end - begin) + " bytes; write the file again";
  }
  tensor = {*type, *shape, data + begin, end - begin};
  return "";
}

// A cut file lacks the end of many tensors; said once it is clearer than tensor by tensor.
void refuse_cut_file(const std::string& path, const Json& header, Bytes data_bytes) {
  int outside = 0;
  Bytes needed = 0;
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__" || !entry.is_object()) continue;
    const auto offsets = integers(entry, "data_offsets");
    if (!offsets || offsets->size() != 2) continue;
    needed = std::max(needed, (*offsets)[1]);
    if ((*offsets)[1] > data_bytes) ++outside;
  }
  if (outside < 2) return;
  throw BadInput(path + ": has " + std::to_string(data_bytes) + " bytes of data, but its header speaks of " +
                 std::to_string(needed) + kFetchAgain);
}

// Tensors that share bytes; sorted by place, neighbours tell.
std::string find_overlap(const std::map<std::string, SafetensorsTensor>& tensors) {
  std::vector<const std::pair<const std::string, SafetensorsTensor>*> order;
  for (const auto& entry : tensors) {
    if (entry.second.bytes > 0) order.push_back(&entry);
  }
  std::sort(order.begin(), order.end(),
            [](const auto* a, const auto* b) { return a->second.data < b->second.data; });
  std::string errors;
  for (std::size_t i = 1; i < order.size(); ++i) {
    if (order[i]->second.data < order[i - 1]->second.data + order[i - 1]->second.bytes) {
      errors += "\n  " + order[i]->first + ": overlaps " + order[i - 1]->first + "; write the file again";
    }
  }
  return errors;
}

// The names of the part files, from the index, without repetitions.
std::set<std::string> list_parts(const std::string& path) {
  std::ifstream stream(path);
  if (!stream) throw BadInput(path + ": cannot be read");
  const Json index = Json::parse(stream, nullptr, false);
  if (!index.is_object() || !index.contains("weight_map") || !index["weight_map"].is_object()) {
    throw BadInput(path + ": no weight_map from tensors to files" + kFetchAgain);
  }
  std::set<std::string> parts;
  for (const auto& [tensor, part] : index["weight_map"].items()) {
    if (!part.is_string() || part.get<std::string>().find('/') != std::string::npos) {
      throw BadInput(path + ": weight_map." + tensor + ": must be the name of a file beside the index");
    }
    parts.insert(part.get<std::string>());
  }
  return parts;
}

}  // namespace

SafetensorsFile::SafetensorsFile(const std::string& path) {
  const Mapped mapped = map_file(path);
  mapping_ = mapped.data;
  std::uint64_t header_bytes = 0;
  for (int i = 7; i >= 0; --i)
    header_bytes = header_bytes << 8 | std::to_integer<std::uint64_t>(mapping_.get()[i]);
  if (header_bytes > kLargestHeader || header_bytes > mapped.size - 8) {
    throw BadInput(path + ": a header of " + std::to_string(header_bytes) +
                   " bytes does not fit this file of " + std::to_string(mapped.size) + " bytes" +
                   kFetchAgain);
  }
  const Json header = parse_header(path, reinterpret_cast<const char*>(mapping_.get() + 8), header_bytes);
  const std::byte* data = mapping_.get() + 8 + header_bytes;
  const auto data_bytes = static_cast<Bytes>(mapped.size - 8 - header_bytes);
  refuse_cut_file(path, header, data_bytes);
  std::string errors;
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") continue;
    SafetensorsTensor tensor;
    const std::string error = read_entry(entry, data, data_bytes, tensor);
    if (!error.empty()) errors += "\n  " + name + ": " + error;
    if (error.empty()) tensors_.emplace(name, std::move(tensor));
  }
  errors += find_overlap(tensors_);
  if (!errors.empty()) throw BadInput(path + ":" + errors);
}

SafetensorsFolder::SafetensorsFolder(const std::string& folder) {
  const std::filesystem::path base(folder);
  const std::filesystem::path index = base / "model.safetensors.index.json";
  const bool in_parts = std::filesystem::exists(index);
  const std::set<std::string> parts =
      in_parts ? list_parts(index.string()) : std::set<std::string>{"model.safetensors"};
  if (!in_parts && !std::filesystem::exists(base / "model.safetensors")) {
    throw BadInput(folder +
                   ": holds neither model.safetensors nor model.safetensors.index.json; "
                   "is this a Hugging Face model folder?");
  }
  for (const std::string& part : parts) {
    files_.emplace_back((base / part).string());
    for (const auto& [name, tensor] : files_.back().tensors()) {
      if (!tensors_.emplace(name, tensor).second) {
        throw BadInput((base / part).string() + ": " + name +
                       ": is in another part, too; write the files again");
      }
    }
  }
}

const SafetensorsTensor* SafetensorsFolder::find(const std::string& name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : &found->second;
}

}  // namespace hybridgen
