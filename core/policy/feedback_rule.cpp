#include "core/policy/feedback_rule.hpp"

#include <algorithm>

namespace hybridgen {
namespace {

FeedbackSetting grown(const FeedbackSetting& now, const FeedbackLimits& limits, Tokens host_tokens) {
  FeedbackSetting next = now;
  next.ratio = std::min(limits.ratio_most, now.ratio * 12 / 10);
  if (now.cap > 0) next.cap = std::max(now.cap + 1, now.cap * 12 / 10);
  if (next.cap >= host_tokens) next.cap = 0;
  return next;
}

FeedbackSetting shrunk(const FeedbackSetting& now, const FeedbackLimits& limits, Tokens host_tokens) {
  FeedbackSetting next = now;
  next.ratio = std::max(limits.ratio_least, now.ratio * 8 / 10);
  const bool at_floor = now.ratio == limits.ratio_least;
  if (limits.cap_after_ratio && !at_floor) return next;
  const Tokens scanned = now.cap == 0 ? host_tokens : std::min(now.cap, host_tokens);
  next.cap = std::max(limits.cap_least, scanned / 2);
  if (next.cap >= host_tokens) next.cap = 0;
  return next;
}

}  // namespace

const char* name_of(SplitMove move) {
  switch (move) {
    case SplitMove::keep:
      return "keep";
    case SplitMove::grow:
      return "grow";
    case SplitMove::shrink:
      return "shrink";
  }
  return "?";
}

SplitMove feedback_move(TimeNs host, TimeNs device, const FeedbackLimits& limits) {
  const TimeNs apart = host > device ? host - device : device - host;
  if (limits.dead_band_permille > 0 && apart <= device * limits.dead_band_permille / 1000) {
    return SplitMove::keep;
  }
  return host <= device ? SplitMove::grow : SplitMove::shrink;
}

FeedbackSetting feedback_step(const FeedbackSetting& now, SplitMove move, const FeedbackLimits& limits,
                              Tokens host_tokens) {
  switch (move) {
    case SplitMove::keep:
      return now;
    case SplitMove::grow:
      return grown(now, limits, host_tokens);
    case SplitMove::shrink:
      return shrunk(now, limits, host_tokens);
  }
  return now;
}

}  // namespace hybridgen
