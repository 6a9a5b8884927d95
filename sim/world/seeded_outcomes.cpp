#include "sim/world/seeded_outcomes.hpp"

#include <algorithm>

#include "core/base/error.hpp"
#include "sim/world/fixed_outcomes.hpp"
#include "sim/world/seeded_draw.hpp"

namespace hybridgen {
namespace {

constexpr int kMemory = 32;  // steps; (7/8)^32 is 1.4 %

// Which draw is meant, so that two of them never share their numbers.
constexpr std::int64_t kBase = 1;
constexpr std::int64_t kNoise = 2;
constexpr std::int64_t kEnd = 3;

}  // namespace

SeededOutcomes::SeededOutcomes(std::int64_t seed, const SeededShape& shape)
    : seed_(static_cast<std::uint64_t>(seed)), shape_(shape) {
  const bool in_range = 0 <= shape.least_base && shape.least_base <= shape.most_base &&
                        shape.most_base <= kPpmOne && 0 <= shape.noise && shape.noise <= kPpmOne &&
                        0 <= shape.end_of_sequence && shape.end_of_sequence <= kPpmOne;
  if (!in_range) throw BadInput("seeded outcomes: shares lie in 0 to 1000000 ppm, least_base <= most_base");
}

std::int64_t SeededOutcomes::count(const Step& step, const Outcome& outcome) {
  const std::int64_t at = step.id.value;
  if (outcome.kind == OutcomeKind::end_of_sequence) {
    const bool ends = below(draw(kEnd, outcome.request, outcome.layer, at), kPpmOne) < shape_.end_of_sequence;
    return ends ? outcome.bound : outcome.least;
  }
  return share_of_bound(outcome, share(at, outcome.request, outcome.layer));
}

Ppm SeededOutcomes::share(std::int64_t step, RequestId request, std::int32_t layer) const {
  Ppm sum =
      shape_.least_base + below(draw(kBase, request, layer, 0), shape_.most_base - shape_.least_base + 1);
  std::int64_t weight = 1LL << 32;
  for (int j = 0; j < kMemory; ++j) {
    const std::int64_t e = below(draw(kNoise, request, layer, step - j), 2 * shape_.noise + 1) - shape_.noise;
    sum += e * weight / (1LL << 32);
    weight -= weight / 8;
  }
  return std::clamp<Ppm>(sum, 0, kPpmOne);
}

std::uint64_t SeededOutcomes::draw(std::int64_t what, RequestId request, std::int32_t layer,
                                   std::int64_t step) const {
  return seeded_draw(seed_, {what, request.value, layer, step});
}

}  // namespace hybridgen
