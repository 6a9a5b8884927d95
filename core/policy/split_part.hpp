// The part that divides a request's work between device and host.
#pragma once

#include <optional>

#include "core/policy/observation.hpp"
#include "core/policy/split_note.hpp"

namespace hybridgen {

// One request's division for its next step.
struct Split {
  Tokens device_tokens = 0;       // newest tokens that the device keeps
  Tokens scan_cap = 0;            // newest host tokens that the host scans; 0: all
  std::optional<Ppm> ratio;       // of the host tokens that are selected; none: the select part's own
  std::optional<SplitNote> note;  // where a scheduler compared times
};

class SplitPart {
 public:
  virtual ~SplitPart() = default;
  // Asked once per request and step, in order. State is per request and starts fresh at its prefill.
  virtual Split split(const RequestView& request, const Observation& observation) = 0;
  // Bounds of what split() says where the context is long enough, for the memory plan: what the device does
  // not keep, the host must have room for.
  virtual Tokens least_device_tokens() const = 0;
  virtual Tokens most_device_tokens() const = 0;
  virtual std::optional<Ppm> most_ratio() const { return std::nullopt; }
};

}  // namespace hybridgen
