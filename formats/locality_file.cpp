#include "formats/locality_file.hpp"

#include <algorithm>
#include <sstream>

#include "formats/yaml_reader.hpp"
#include "formats/yaml_scalar.hpp"
#include "formats/yaml_text.hpp"

namespace hybridgen {
namespace {

constexpr std::int64_t kMostLayers = 10'000;
constexpr std::int64_t kMostAlphaMilli = 1'000'000;  // as of select: threshold
constexpr std::int64_t kMostRows = 100'000'000;      // as of a context
constexpr Ppm kMostFreeShare = 16 * kPpmOne;
constexpr std::int64_t kMostSharpness = 100'000;
constexpr std::int64_t kMostPersistence = 950;
// Of a logarithm: counts that scatter over more than a factor of e^5 would be no count of anything.
constexpr std::int64_t kMostDeviation = 5'000;

class LocalityReader {
 public:
  LocalityReader(const YamlNode& root, YamlErrors& errors) : root_({&root, ""}, errors), errors_(errors) {}

  Locality read() {
    out_.model = root_.text("model", Need::required).value_or("");
    out_.layers = static_cast<int>(root_.integer("layers", Need::required, {1, kMostLayers}).value_or(0));
    out_.mean_rows = root_.integer("mean_rows", Need::required, {1, kMostRows}).value_or(1);
    out_.persistence_permille =
        root_.integer("persistence_permille", Need::required, {0, kMostPersistence}).value_or(0);
    out_.end_of_sequence = root_.integer("end_of_sequence_ppm", Need::optional, {0, kPpmOne});
    root_.text("commit", Need::required);
    for (const YamlItem& item : root_.list("fitted_on", Need::required)) source(item);
    for (const YamlItem& item : root_.list("overlap", Need::optional)) overlap(item);
    for (const YamlItem& item : root_.list("thresholds", Need::optional)) threshold(item);
    if (!root_.has("overlap") && !root_.has("thresholds")) {
      root_.fault("overlap",
                  "missing, and so is thresholds: nothing was fitted; run `hybridgen fit-locality` again");
    }
    root_.finish();
    return out_;
  }

 private:
  // For people alone, but a slip in a key is a slip.
  void source(const YamlItem& item) {
    YamlMap map(item, errors_);
    for (const char* key : {"run", "text", "policy", "requests", "commit"}) map.text(key, Need::required);
    map.finish();
  }

  void overlap(const YamlItem& item) {
    YamlMap map(item, errors_);
    LocalityOverlap point;
    point.share = map.integer("share_ppm", Need::required, {1, kPpmOne}).value_or(1);
    point.correlation_ppm = by_layer(map, "correlation_ppm", {0, kPpmOne});
    scatter(map, point.step_permille, point.request_permille);
    map.finish();
    if (!out_.overlap.empty() && out_.overlap.back().share >= point.share) {
      map.fault("share_ppm", "does not grow from one point to the next; write them in ascending order");
    }
    out_.overlap.push_back(std::move(point));
  }

  void threshold(const YamlItem& item) {
    YamlMap map(item, errors_);
    LocalityThreshold threshold;
    threshold.alpha_milli = map.integer("alpha_milli", Need::required, {0, kMostAlphaMilli}).value_or(0);
    threshold.share_ppm = by_layer(map, "share_ppm", {0, kMostFreeShare});
    threshold.growth_permille = by_layer(map, "growth_permille", {0, 1000});
    threshold.sharpness_permille = by_layer(map, "sharpness_permille", {100, kMostSharpness});
    scatter(map, threshold.step_permille, threshold.request_permille);
    map.finish();
    if (!out_.thresholds.empty() && out_.thresholds.back().alpha_milli >= threshold.alpha_milli) {
      map.fault("alpha_milli", "does not grow from one threshold to the next; write them in ascending order");
    }
    out_.thresholds.push_back(std::move(threshold));
  }

  void scatter(YamlMap& map, std::vector<std::int64_t>& steps, std::vector<std::int64_t>& requests) {
    steps = by_layer(map, "step_permille", {0, kMostDeviation});
    requests = by_layer(map, "request_permille", {0, kMostDeviation});
  }

  std::vector<std::int64_t> by_layer(YamlMap& map, const std::string& key, const IntegerRange& range) {
    std::vector<std::int64_t> values;
    const std::vector<YamlItem> items = map.list(key, Need::required);
    for (const YamlItem& item : items) {
      const bool integer = is_number(*item.node) && item.node->text.find_first_of(".eE") == std::string::npos;
      const Decimal read = integer ? to_decimal(item.node->text, 0) : Decimal{};
      if (!integer || read.fault != DecimalFault::none || read.value < range.least ||
          read.value > range.most) {
        errors_.add(item.node->place, item.path,
                    (integer ? item.node->text + " is out of range" : "expected an integer") +
                        "; write one between " + std::to_string(range.least) + " and " +
                        std::to_string(range.most));
      }
      values.push_back(std::clamp(read.value, range.least, range.most));
    }
    if (map.has(key) && !items.empty() && static_cast<int>(items.size()) != out_.layers && out_.layers > 0) {
      map.fault(key, "has " + std::to_string(items.size()) + " values; write one for each of the " +
                         std::to_string(out_.layers) + " layers");
    }
    return values;
  }

  YamlMap root_;
  YamlErrors& errors_;
  Locality out_;
};

std::string list_of(const std::vector<std::int64_t>& values) {
  std::string text = "[";
  for (const std::int64_t value : values) text += (text.size() > 1 ? ", " : "") + std::to_string(value);
  return text + "]";
}

void write_scatter(std::ostream& out, const std::vector<std::int64_t>& steps,
                   const std::vector<std::int64_t>& requests) {
  out << "    step_permille: " << list_of(steps) << "\n    request_permille: " << list_of(requests) << "\n";
}

}  // namespace

Locality read_locality(const std::string& path) {
  YamlErrors errors(path);
  const YamlPtr root = parse_yaml(read_text_file(path), errors);
  errors.throw_if_any();
  Locality fit = LocalityReader(*root, errors).read();
  errors.throw_if_any();
  return fit;
}

std::string locality_yaml(const Locality& fit, const std::vector<LocalitySource>& sources,
                          const std::string& commit) {
  std::ostringstream out;
  out << "# How many rows the query heads of " << fit.model
      << " choose, fitted on recorded runs. Written by\n# hybridgen fit-locality; docs/locality.md says what "
         "the "
         "figures mean.\n"
      << "model: " << yaml_string(fit.model) << "\nlayers: " << fit.layers << "\nmean_rows: " << fit.mean_rows
      << "\npersistence_permille: " << fit.persistence_permille << "\n";
  if (fit.end_of_sequence) out << "end_of_sequence_ppm: " << *fit.end_of_sequence << "\n";
  out << "commit: " << yaml_string(commit) << "\nfitted_on:\n";
  for (const LocalitySource& source : sources) {
    out << "  - run: " << yaml_string(source.run) << "\n    text: " << yaml_string(source.text)
        << "\n    policy: " << yaml_string(source.policy)
        << "\n    requests: " << yaml_string(source.requests)
        << "\n    commit: " << yaml_string(source.commit) << "\n";
  }
  if (!fit.overlap.empty()) out << "overlap:\n";
  for (const LocalityOverlap& point : fit.overlap) {
    out << "  - share_ppm: " << point.share << "\n    correlation_ppm: " << list_of(point.correlation_ppm)
        << "\n";
    write_scatter(out, point.step_permille, point.request_permille);
  }
  if (!fit.thresholds.empty()) out << "thresholds:\n";
  for (const LocalityThreshold& threshold : fit.thresholds) {
    out << "  - alpha_milli: " << threshold.alpha_milli << "\n    share_ppm: " << list_of(threshold.share_ppm)
        << "\n    growth_permille: " << list_of(threshold.growth_permille)
        << "\n    sharpness_permille: " << list_of(threshold.sharpness_permille) << "\n";
    write_scatter(out, threshold.step_permille, threshold.request_permille);
  }
  return out.str();
}

}  // namespace hybridgen
