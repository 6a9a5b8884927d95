// How long the ops of a step took, summed by kind: what a scheduler compares. Made from the report by the
// driver.
#pragma once

#include <array>
#include <map>

#include "core/base/ids.hpp"
#include "core/base/units.hpp"
#include "core/machine/op_kind.hpp"

namespace hybridgen {

class StepTimes {
 public:
  // An op of one request, or of all (an invalid id).
  void add(RequestId request, OpKind kind, TimeNs duration) {
    sums_[request][static_cast<std::size_t>(kind)] += duration;
  }
  // 0 where the step had no such op of this request.
  TimeNs of(RequestId request, OpKind kind) const {
    const auto found = sums_.find(request);
    return found == sums_.end() ? 0 : found->second[static_cast<std::size_t>(kind)];
  }
  TimeNs of_all(OpKind kind) const { return of(RequestId(), kind); }

 private:
  std::map<RequestId, std::array<TimeNs, kOpKinds>> sums_;
};

inline const StepTimes kNoTimes;

}  // namespace hybridgen
