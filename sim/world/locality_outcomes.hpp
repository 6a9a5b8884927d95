// Outcomes with the locality of a model's recorded selections, drawn from a seed (see LocalityLaw):
//   count = heads x tokens x share x exp(a request's deviation + a step's), within the outcome's bounds,
// both deviations normal and such that the factor's mean is one; the step's is an AR(1) with the fitted
// persistence whose distant past is cut off, so that a count depends on its arguments and the seed alone.
// Integers only: equal on every platform.
#pragma once

#include <array>

#include "core/machine/model_shape.hpp"
#include "sim/world/locality_law.hpp"
#include "sim/world/outcome_source.hpp"

namespace hybridgen {

class LocalityOutcomes final : public OutcomeSource {
 public:
  LocalityOutcomes(std::int64_t seed, Locality fit, const ModelShape& model);

  std::string name() const override;  // "locality (fitted on <model>)"
  // BadInput where nothing was fitted for the outcome.
  std::int64_t count(const Step& step, const Outcome& outcome) override;
  // The same for a selection, within [least, bound].
  std::int64_t count(const Selection& selection, RequestId request, std::int64_t step, std::int64_t least,
                     std::int64_t bound) const;

 private:
  static constexpr int kMemory = 32;  // steps
  // Standard normal, in units of 2^-16.
  std::int64_t step_deviation(RequestId request, std::int32_t layer, std::int64_t step) const;
  std::int64_t normal(std::int64_t what, RequestId request, std::int32_t layer, std::int64_t step) const;

  std::uint64_t seed_;
  LocalityLaw law_;
  ModelShape model_;
  std::array<std::int64_t, kMemory> weights_{};  // of the steps so far back, in units of 2^-16
};

}  // namespace hybridgen
