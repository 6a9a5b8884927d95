#include "formats/bench_result.hpp"

#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/base/error.hpp"

namespace hybridgen {
namespace {

using Json = nlohmann::ordered_json;  // keys stay in the order in which people read them

// JSON has no infinity: an error that is not a number is written as null and read back as infinite.
Json figure_json(const Measurement& figure) {
  const auto number = [](double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); };
  Json json = {{"subject", figure.subject},     {"condition", figure.condition},
               {"quantity", figure.quantity},   {"unit", figure.unit},
               {"value", number(figure.value)}, {"spread", number(figure.spread)}};
  if (figure.bound) json["bound"] = *figure.bound;
  return json;
}

double number(const Json& json) {
  return json.is_null() ? std::numeric_limits<double>::infinity() : json.get<double>();
}

Measurement figure_of(const Json& json) {
  Measurement figure;
  json.at("subject").get_to(figure.subject);
  json.at("condition").get_to(figure.condition);
  json.at("quantity").get_to(figure.quantity);
  json.at("unit").get_to(figure.unit);
  figure.value = number(json.at("value"));
  figure.spread = number(json.at("spread"));
  if (json.contains("bound")) figure.bound = json.at("bound").get<double>();
  return figure;
}

}  // namespace

std::string to_json(const BenchResult& result) {
  Json json;
  json["format"] = kBenchFormat;
  json["stage"] = result.stage;
  json["card"] = result.card;
  json["commit"] = result.commit;
  json["date"] = result.date;
  json["seconds"] = result.seconds;
  json["kernels"] = result.kernels;
  // A line per figure: a diff of two results shows which figures moved.
  std::string figures;
  for (const Measurement& figure : result.figures) {
    figures += (figures.empty() ? "\n    " : ",\n    ") +
               figure_json(figure).dump(-1, ' ', false, Json::error_handler_t::replace);
  }
  std::string text = json.dump(2, ' ', false, Json::error_handler_t::replace);
  text.erase(text.rfind('\n'));
  return text + ",\n  \"figures\": [" + figures + (figures.empty() ? "]\n}\n" : "\n  ]\n}\n");
}

BenchResult read_bench_result(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw BadInput(path + ": cannot be read");
  try {
    const Json json = Json::parse(file);
    if (json.at("format").get<int>() != kBenchFormat)
      throw BadInput(path + ": format: this program reads format " + std::to_string(kBenchFormat) +
                     "; measure again into another folder");
    BenchResult result;
    json.at("stage").get_to(result.stage);
    json.at("card").get_to(result.card);
    json.at("commit").get_to(result.commit);
    json.at("date").get_to(result.date);
    json.at("seconds").get_to(result.seconds);
    json.at("kernels").get_to(result.kernels);
    for (const Json& figure : json.at("figures")) result.figures.push_back(figure_of(figure));
    return result;
  } catch (const nlohmann::json::exception& error) {
    throw BadInput(path + ": no result of bench-machine: " + error.what() +
                   "; remove the file and its stage is measured again");
  }
}

}  // namespace hybridgen
