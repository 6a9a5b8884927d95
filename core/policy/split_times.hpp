// What schedulers compare: one request's host time against the device's, over one step.
#pragma once

#include "core/policy/observation.hpp"
#include "core/policy/part_context.hpp"

namespace hybridgen {

struct SplitTimes {
  TimeNs host_ns = 0;    // scan, selection, packing, and the copies up
  TimeNs device_ns = 0;  // logits and joint softmax; of the whole layer also projections and FFN
};

// The last step's records, or the estimator's averages times the layers. Zero host time: no decode step of
// this request was seen yet.
SplitTimes split_times(const RequestView& request, const Observation& observation, bool from_estimator,
                       bool whole_layer, int layers);

}  // namespace hybridgen
