// The feedback scheduler's rule: host time against device time, and how the selection ratio and the scan cap
// answer. Pure integers; who measures and when is the split part's business.
//
// Steps of 1.2, 0.8 and one half, the bounds and both shrink orders: HybridGen (arXiv 2604.18529) as a public
// port of its prototype reads it. The published rule moves at every decision, so it never rests; the dead
// band is ours. A band of 10 % on either side is wider than one step of growth (1.1 / 0.9 > 1.2), and host
// time grows by at most what ratio and cap grow: growth cannot step over it, so the rule comes to rest.
#pragma once

#include <cstdint>

#include "core/base/units.hpp"
#include "core/policy/split_note.hpp"

namespace hybridgen {

struct FeedbackLimits {
  Ppm ratio_least = 10'000;
  Ppm ratio_most = 500'000;
  Tokens cap_least = 32;
  std::int64_t dead_band_permille = 0;  // of the device time; within it nothing moves
  bool cap_after_ratio = false;         // the cap shrinks only once the ratio is at its floor
};

// What the rule moves.
struct FeedbackSetting {
  Ppm ratio = 0;   // selected rows per query head over host tokens
  Tokens cap = 0;  // newest host tokens that are scanned; 0: all
  friend bool operator==(const FeedbackSetting&, const FeedbackSetting&) = default;
};

// Grow where the host has slack (its time is at most the device's), shrink where it is late.
SplitMove feedback_move(TimeNs host, TimeNs device, const FeedbackLimits& limits);

// The next setting with `host_tokens` on the host. Never outside the limits; a cap that reaches the host's
// tokens becomes 0.
FeedbackSetting feedback_step(const FeedbackSetting& now, SplitMove move, const FeedbackLimits& limits,
                              Tokens host_tokens);

}  // namespace hybridgen
