#include "formats/lookahead_file.hpp"

#include <cmath>
#include <cstring>
#include <filesystem>

#include "core/base/error.hpp"
#include "formats/safetensors_writer.hpp"

namespace hybridgen {
namespace {

constexpr std::array<const char*, 2> kPredictors = {"plain", "fitted"};
constexpr std::array<const char*, 2> kCorrections = {"raw", "corrected"};

std::string error_name(std::size_t fitted, std::size_t corrected) {
  return std::string("error_permille.") + kPredictors[fitted] + "." + kCorrections[corrected];
}

std::string layer_name(int layer, const char* factor) {
  return "layers." + std::to_string(layer) + "." + factor;
}

// Reads the file's tensors; what is missing or of another shape is remembered.
class Reader {
 public:
  Reader(std::string path, const ModelShape& shape) : path_(std::move(path)), shape_(shape), file_(path_) {}

  const SafetensorsTensor* tensor(const std::string& name, const std::vector<std::int64_t>& extents) {
    const auto found = file_.tensors().find(name);
    if (found == file_.tensors().end()) {
      errors_ += "\n  " + name + ": missing";
      return nullptr;
    }
    if (found->second.shape != extents) {
      errors_ += "\n  " + name + ": not of the shape that " + shape_.name + " needs";
      return nullptr;
    }
    return &found->second;
  }

  std::vector<std::int64_t> whole_numbers(const std::string& name) {
    const SafetensorsTensor* found = tensor(name, {shape_.layers});
    std::vector<std::int64_t> values;
    if (found == nullptr) return values;
    if (found->type != SafetensorsType::f32) {
      errors_ += "\n  " + name + ": not F32";
      return values;
    }
    for (int i = 0; i < shape_.layers; ++i) {
      float value = 0;
      std::memcpy(&value, found->data + sizeof(float) * static_cast<std::size_t>(i), sizeof(float));
      const bool sane = value >= 0 && value <= 1e9F;  // false of what is no number
      if (!sane) errors_ += "\n  " + name + ": element " + std::to_string(i) + " is no error";
      values.push_back(sane ? std::llround(value) : 0);
    }
    return values;
  }

  // Of the first layer that has one.
  std::int64_t rank() const {
    const auto found = file_.tensors().find(layer_name(1, "down"));
    const bool known = found != file_.tensors().end() && found->second.shape.size() == 2;
    return known ? found->second.shape[0] : 1;
  }

  void throw_if_any() const {
    if (errors_.empty()) return;
    throw BadInput(path_ + ": does not belong to " + shape_.name + ":" + errors_ +
                   "\nremove the file, and run `hybridgen fit-lookahead` again");
  }

 private:
  std::string path_;
  const ModelShape& shape_;
  SafetensorsFile file_;
  std::string errors_;
};

}  // namespace

void write_lookahead(const std::string& path, const ModelShape& shape, std::int64_t rank, float q_rms,
                     const std::vector<LookaheadLayer>& layers,
                     const std::map<std::string, std::string>& metadata) {
  std::vector<NamedTensor> tensors;
  for (int i = 1; i < shape.layers; ++i) {
    const LookaheadLayer& layer = layers.at(static_cast<std::size_t>(i));
    tensors.push_back({layer_name(i, "down"),
                       {SafetensorsType::f16, {rank, shape.hidden}, layer.down, 2 * rank * shape.hidden}});
    tensors.push_back(
        {layer_name(i, "up"),
         {SafetensorsType::f16, {shape.q_width(), rank}, layer.up, 2 * rank * shape.q_width()}});
  }
  std::vector<std::vector<float>> rows;  // outlive the tensors that look at them
  rows.reserve(7);
  const auto add_row = [&](const std::string& name, auto value_of) {
    std::vector<float>& row = rows.emplace_back();
    for (const LookaheadLayer& layer : layers) row.push_back(static_cast<float>(value_of(layer)));
    tensors.push_back({name,
                       {SafetensorsType::f32,
                        {shape.layers},
                        reinterpret_cast<const std::byte*>(row.data()),
                        static_cast<Bytes>(sizeof(float) * row.size())}});
  };
  for (std::size_t fitted = 0; fitted < 2; ++fitted) {
    add_row(std::string("query_cosine.") + kPredictors[fitted],
            [fitted](const LookaheadLayer& layer) { return layer.cosine[fitted]; });
    for (std::size_t corrected = 0; corrected < 2; ++corrected) {
      add_row(error_name(fitted, corrected),
              [=](const LookaheadLayer& layer) { return layer.error_permille[fitted][corrected]; });
    }
  }
  tensors.push_back(
      {"q_rms", {SafetensorsType::f32, {1}, reinterpret_cast<const std::byte*>(&q_rms), sizeof(float)}});
  write_safetensors(path, tensors, metadata);
}

QueryPredictor read_query_predictor(const std::string& folder, const ModelShape& shape) {
  const std::filesystem::path path = std::filesystem::path(folder) / kLookaheadFile;
  std::error_code code;
  if (!std::filesystem::exists(path, code)) return {};
  Reader reader(path.string(), shape);
  QueryPredictor predictor;
  predictor.rank = static_cast<int>(reader.rank());
  for (int i = 1; i < shape.layers; ++i) {
    reader.tensor(layer_name(i, "down"), {predictor.rank, shape.hidden});
    reader.tensor(layer_name(i, "up"), {shape.q_width(), predictor.rank});
  }
  for (std::size_t fitted = 0; fitted < 2; ++fitted) {
    for (std::size_t corrected = 0; corrected < 2; ++corrected) {
      predictor.error_permille[fitted][corrected] = reader.whole_numbers(error_name(fitted, corrected));
    }
  }
  reader.tensor("q_rms", {1});
  reader.throw_if_any();
  return predictor;
}

}  // namespace hybridgen
