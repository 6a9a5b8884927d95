#include "runtime/calibrate/token_agreement.hpp"

#include <algorithm>
#include <cmath>

namespace hybridgen {

std::vector<Measurement> token_agreement(const std::string& subject, const std::string& condition,
                                         const GreedyRun& reference, const GreedyRun& other,
                                         double most_gap) {
  const std::size_t length = std::min(reference.tokens.size(), other.tokens.size());
  std::size_t equal = 0;
  while (equal < length && reference.tokens[equal] == other.tokens[equal]) ++equal;
  // A run that ended early said less than it was asked for.
  double gap = reference.tokens.size() == other.tokens.size() ? 0 : HUGE_VAL;
  if (equal < length) {
    const std::vector<float>& logits = reference.logits.at(equal);
    gap = std::abs(static_cast<double>(logits.at(static_cast<std::size_t>(reference.tokens[equal]))) -
                   static_cast<double>(logits.at(static_cast<std::size_t>(other.tokens[equal]))));
  }
  return {{subject, condition, "equal tokens", "1", static_cast<double>(equal), 0, std::nullopt},
          {subject, condition, "gap at the first difference", "1", gap, 0, most_gap}};
}

}  // namespace hybridgen
