#include "sim/world/locality_outcomes.hpp"

#include <algorithm>
#include <utility>

#include "core/base/error.hpp"
#include "sim/world/fixed_point.hpp"
#include "sim/world/seeded_draw.hpp"

namespace hybridgen {
namespace {

constexpr std::int64_t kUnit = 1 << 16;  // one standard deviation
constexpr std::int64_t kLog2OfE_q24 = 24'204'406;

// Which draw is meant, so that two of them never share their numbers.
constexpr std::int64_t kRequest = 11;
constexpr std::int64_t kStep = 12;
constexpr std::int64_t kEnd = 13;

// exp(deviations - half their variance), Q24: of mean one.
std::int64_t factor(const ExpectedRows& rows, std::int64_t request, std::int64_t step) {
  const std::int64_t variance =  // in millionths
      rows.request_permille * rows.request_permille + rows.step_permille * rows.step_permille;
  const std::int64_t exponent =
      (rows.request_permille * request + rows.step_permille * step) / 1000 - variance * kUnit / 2 / kPpmOne;
  return exp2_q24(std::clamp(exponent * kLog2OfE_q24 / kUnit, -20 * kQ24One, 8 * kQ24One));
}

}  // namespace

LocalityOutcomes::LocalityOutcomes(std::int64_t seed, Locality fit, const ModelShape& model)
    : seed_(static_cast<std::uint64_t>(seed)), law_(std::move(fit), model.layers), model_(model) {
  std::int64_t weight = kUnit;
  std::int64_t squares = 0;
  for (std::int64_t& each : weights_) {
    each = weight;
    squares += weight * weight;
    weight = weight * law_.fit().persistence_permille / 1000;
  }
  const std::int64_t length = integer_root(squares);
  for (std::int64_t& each : weights_) each = each * kUnit / length;
}

std::string LocalityOutcomes::name() const {
  return "locality (fitted on " + law_.fit().model + ")";
}

std::int64_t LocalityOutcomes::count(const Step& step, const Outcome& outcome) {
  if (outcome.kind != OutcomeKind::end_of_sequence) {
    return count(selection_of(step, outcome, model_), outcome.request, step.id.value, outcome.least,
                 outcome.bound);
  }
  if (!law_.fit().end_of_sequence) {
    throw BadInput(
        "locality outcomes: no run that could end early was fitted; record one with "
        "workload.stop_at_end_of_sequence: true, or simulate with false");
  }
  const std::uint64_t draw = seeded_draw(seed_, {kEnd, outcome.request.value, outcome.layer, step.id.value});
  return below(draw, kPpmOne) < *law_.fit().end_of_sequence ? outcome.bound : outcome.least;
}

std::int64_t LocalityOutcomes::count(const Selection& selection, RequestId request, std::int64_t step,
                                     std::int64_t least, std::int64_t bound) const {
  const ExpectedRows rows = law_.expected(selection);
  const std::int64_t scatter = factor(rows, normal(kRequest, request, selection.layer, 0),
                                      step_deviation(request, selection.layer, step));
  const std::int64_t share = std::min(kWholeShare, rows.share * scatter / kQ24One);
  const std::int64_t count = (selection.heads * selection.tokens * share + kWholeShare / 2) / kWholeShare;
  return std::clamp(count, least, bound);
}

std::int64_t LocalityOutcomes::step_deviation(RequestId request, std::int32_t layer,
                                              std::int64_t step) const {
  std::int64_t sum = 0;
  std::int64_t back = 0;
  for (const std::int64_t weight : weights_) {
    if (weight == 0) break;
    sum += weight * normal(kStep, request, layer, step - back++);
  }
  return sum / kUnit;
}

// The sum of four uniform numbers of 16 bits: near enough to normal, and never further out than 3.5 standard
// deviations.
std::int64_t LocalityOutcomes::normal(std::int64_t what, RequestId request, std::int32_t layer,
                                      std::int64_t step) const {
  constexpr std::int64_t kDeviation = 37837;  // of the sum: sqrt(4 (2^32 - 1) / 12)
  std::uint64_t bits = seeded_draw(seed_, {what, request.value, layer, step});
  std::int64_t sum = -2 * 65535;
  for (int i = 0; i < 4; ++i, bits >>= 16) sum += static_cast<std::int64_t>(bits & 0xffff);
  return sum * kUnit / kDeviation;
}

}  // namespace hybridgen
