// What split parts share that decide anew every few decode steps: a setting per request, which starts fresh
// at the request's prefill, and when a decision is due.
#pragma once

#include <map>

#include "core/policy/split_part.hpp"

namespace hybridgen {

template <class Setting>
class ScheduledSplit : public SplitPart {
 public:
  // interval: decode steps between two decisions.
  ScheduledSplit(const Setting& start, std::int64_t interval) : start_(start), interval_(interval) {}

 protected:
  Setting& setting_of(const RequestView& request) {
    if (request.cached_tokens == 0) settings_[request.id] = start_;
    return settings_.at(request.id);
  }
  // The prefill's token is the first; the first decode step is not over before the second is decided.
  bool due(const RequestView& request) const {
    const Tokens decoded = request.generated - 1;
    return decoded > 0 && decoded % interval_ == 0;
  }

 private:
  Setting start_;
  std::int64_t interval_;
  std::map<RequestId, Setting> settings_;
};

}  // namespace hybridgen
