// How much of the host's work in decode steps is hidden behind the device's: computed from a timeline alone,
// the same for both worlds.
#pragma once

#include "core/driver/timeline.hpp"

namespace hybridgen {

// Summed over the decode steps. The host's work is its scans, selections and gathers with the copies that
// serve them; it is hidden while the device computes something at the same time.
struct HostOverlap {
  TimeNs host_ns = 0;    // in which the host or its copies worked
  TimeNs hidden_ns = 0;  // of these, in which the device computed

  double hidden_share() const {
    return host_ns == 0 ? 0 : static_cast<double>(hidden_ns) / static_cast<double>(host_ns);
  }
};

HostOverlap host_overlap(const Timeline& timeline);

}  // namespace hybridgen
