// Distinct types for ids, so that a tier can never be passed where a lane is meant.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>

namespace hybridgen {

template <class Tag>
struct Id {
  std::int32_t value = -1;

  constexpr Id() = default;
  constexpr explicit Id(std::int64_t v) : value(static_cast<std::int32_t>(v)) {}
  constexpr bool valid() const { return value >= 0; }
  constexpr std::size_t index() const { return static_cast<std::size_t>(value); }
  friend constexpr auto operator<=>(Id, Id) = default;
};

using TierId = Id<struct TierTag>;
using ChannelId = Id<struct ChannelTag>;
using ProcessorId = Id<struct ProcessorTag>;
using LaneId = Id<struct LaneTag>;
using RequestId = Id<struct RequestTag>;
using SlotId = Id<struct SlotTag>;  // room for one request at a time
using StepId = Id<struct StepTag>;
using OpId = Id<struct OpTag>;            // dense within a step, increasing
using OutcomeId = Id<struct OutcomeTag>;  // dense within a step

}  // namespace hybridgen

template <class Tag>
struct std::hash<hybridgen::Id<Tag>> {
  std::size_t operator()(hybridgen::Id<Tag> id) const noexcept { return std::hash<std::int32_t>{}(id.value); }
};
