// Whether two greedy runs of one prompt say the same, and how close the call was where they part.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/machine/measurement.hpp"

namespace hybridgen {

// A greedy run as an executor tells it: the i-th new token and the logits that it was chosen from.
struct GreedyRun {
  std::vector<std::int32_t> tokens;
  std::vector<std::vector<float>> logits;  // [token][vocab]
};

// Two figures: "equal tokens", and "gap at the first difference": how far apart `reference` holds the two
// tokens that were chosen, 0 where all are equal; its bound is `most_gap`. Behind the first difference the
// runs read different texts and are not compared.
std::vector<Measurement> token_agreement(const std::string& subject, const std::string& condition,
                                         const GreedyRun& reference, const GreedyRun& other, double most_gap);

}  // namespace hybridgen
