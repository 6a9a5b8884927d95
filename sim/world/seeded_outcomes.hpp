// Outcomes with the locality of real selections, from a seed: each request and layer has a share of its
// bound, around which the share moves slowly from step to step. Not fitted to any model; says so by its name.
//   share(t) = base + sum over j < 32 of (7/8)^j x e(t - j),  e uniform in +-noise: an AR(1) with its distant
// past cut off, so that a count depends on its arguments and the seed alone. Integers only: equal on every
// platform.
#pragma once

#include "core/base/units.hpp"
#include "sim/world/outcome_source.hpp"

namespace hybridgen {

struct SeededShape {
  Ppm least_base = 150'000;  // a request and layer's own share lies between these two
  Ppm most_base = 600'000;
  Ppm noise = 30'000;           // the most that one step adds
  Ppm end_of_sequence = 2'000;  // probability per request and step
};

class SeededOutcomes final : public OutcomeSource {
 public:
  explicit SeededOutcomes(std::int64_t seed, const SeededShape& shape = {});

  std::string name() const override { return "seeded"; }
  std::int64_t count(const Step& step, const Outcome& outcome) override;
  // The share at a step before it is bounded; what count() turns into rows.
  Ppm share(std::int64_t step, RequestId request, std::int32_t layer) const;

 private:
  std::uint64_t draw(std::int64_t what, RequestId request, std::int32_t layer, std::int64_t step) const;

  std::uint64_t seed_;
  SeededShape shape_;
};

}  // namespace hybridgen
