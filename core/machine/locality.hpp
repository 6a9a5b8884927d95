// What recorded selections say about a model: how many rows query heads choose, and how much their choices have in
// common. Made by hybridgen fit-locality; the simulated world alone draws counts from it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/units.hpp"

namespace hybridgen {

// What was fitted where each query head could choose one share of the rows; vectors by layer.
struct LocalityPoint {
  Ppm share = 0;           // rows that each query head may choose, of those that it chooses among
  std::vector<Ppm> level;  // what it is, its owner says
  // Standard deviation of the natural logarithm of the count about what the level gives, in thousandths: from
  // step to step, and from one request to another.
  std::vector<std::int64_t> step_permille;
  std::vector<std::int64_t> request_permille;
};

// Selections by distance to the largest logit. Level: rows that a query head takes, of those that it chooses
// among, with at most `share` of them.
struct LocalityThreshold {
  std::int64_t alpha_milli = 0;
  std::vector<LocalityPoint> points;  // shares ascending
};

struct Locality {
  std::string model;
  int layers = 0;
  // How alike the query heads of a KV head choose. Level: the intraclass correlation of their choices; 0 where
  // they choose independently, 1 where all choose the same rows. Shares ascending.
  std::vector<LocalityPoint> overlap;
  std::vector<LocalityThreshold> thresholds;  // alphas ascending
  // Rows over a threshold grow with the rows chosen among as rows^growth, from the mean row count on.
  Tokens mean_rows = 1;
  std::int64_t growth_permille = 1000;
  std::int64_t persistence_permille = 0;  // autocorrelation of a count from one step to the next
  std::optional<Ppm> end_of_sequence;     // probability per request and step, where runs could end by one
};

}  // namespace hybridgen
