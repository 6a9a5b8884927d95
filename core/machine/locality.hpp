// What recorded selections say about a model: how many rows query heads choose, and how much their choices
// have in common. Made by hybridgen fit-locality; the simulated world alone draws counts from it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/units.hpp"

namespace hybridgen {

// How alike the query heads of a KV head choose, where each may choose one share of the rows; vectors by
// layer.
struct LocalityOverlap {
  Ppm share = 0;  // rows that each query head chooses, of those that it chooses among
  // The intraclass correlation of their choices: 0 where they choose independently, 1 where all choose the
  // same.
  std::vector<Ppm> correlation_ppm;
  // Standard deviation of the natural logarithm of the count about what the law gives, in thousandths: from
  // step to step, and from one request to another.
  std::vector<std::int64_t> step_permille;
  std::vector<std::int64_t> request_permille;
};

// Rows that a query head takes by their distance to its largest logit; vectors by layer.
struct LocalityThreshold {
  std::int64_t alpha_milli = 0;
  // Of the rows that it chooses among, where it may take any number and Locality::mean_rows are there. Above
  // a million where nearly all lie within alpha.
  std::vector<Ppm> share_ppm;
  // Rows grow with the rows chosen among as their power growth / 1000.
  std::vector<std::int64_t> growth_permille;
  // How sharply a cap cuts, see LocalityLaw: the more alike heads and steps, the sharper.
  std::vector<std::int64_t> sharpness_permille;
  std::vector<std::int64_t> step_permille;  // of the rows without a cap, as of an overlap
  std::vector<std::int64_t> request_permille;
};

struct Locality {
  std::string model;
  int layers = 0;
  std::vector<LocalityOverlap> overlap;       // shares ascending
  std::vector<LocalityThreshold> thresholds;  // alphas ascending
  Tokens mean_rows = 1;                       // that were chosen among where thresholds were recorded
  std::int64_t persistence_permille = 0;      // autocorrelation of a count from one step to the next
  std::optional<Ppm> end_of_sequence;         // probability per request and step, where runs could end by one
};

}  // namespace hybridgen
