// How many rows lie over a threshold, fitted layer by layer to recorded selections of one alpha.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/world/locality_law.hpp"
#include "sim/world/selection_samples.hpp"

namespace hybridgen {

inline constexpr std::int64_t kSharpnessUnknown = 1'000;  // where all runs had one cap; an assumption

// The law of one layer and alpha, as LocalityLaw has it.
struct ThresholdLaw {
  Tokens mean_rows;
  std::int64_t growth_permille;
  Ppm share_ppm = 1;
  std::int64_t sharpness_permille = kSharpnessUnknown;

  CappedRows rows(const Selection& selection) const;
};

// By layer; samples of one alpha by growing cap, at least one. mean_rows: what lengths are held against.
std::vector<ThresholdLaw> fit_threshold(const std::vector<SelectionSample>& samples, int layers,
                                        Tokens mean_rows);

}  // namespace hybridgen
