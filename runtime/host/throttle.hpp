// Slows ops down to the bandwidth of a tier that this machine lacks: an op that moved bytes of an emulated
// tier ends no earlier than that tier's channel would have let them through. Lanes share the channel, one
// after the other. Latency, and what a slow memory does to prefetching, are not emulated.
#pragma once

#include <algorithm>
#include <atomic>
#include <vector>

#include "core/machine/machine.hpp"

namespace hybridgen {

class Throttle {
 public:
  explicit Throttle(const Machine& machine) : machine_(machine), free_at_(machine.channels().size()) {}

  // When an op that began at `began` and moved so many bytes (by tier id) may end. Thread-safe.
  TimeNs end_of(TimeNs began, const std::vector<Bytes>& tier_bytes) {
    TimeNs end = began;
    for (const Tier& tier : machine_.tiers()) {
      const Bytes bytes = tier_bytes[tier.id.index()];
      if (!tier.emulated || bytes == 0) continue;
      const double ns = static_cast<double>(bytes) * 1e9 / machine_.channel(tier.channel).bytes_per_s;
      end = std::max(end, pass(free_at_[tier.channel.index()], began, static_cast<TimeNs>(ns)));
    }
    return end;
  }

 private:
  static TimeNs pass(std::atomic<TimeNs>& free_at, TimeNs began, TimeNs takes) {
    TimeNs before = free_at.load(std::memory_order_relaxed);
    TimeNs after = 0;
    do {
      after = std::max(before, began) + takes;
    } while (!free_at.compare_exchange_weak(before, after, std::memory_order_relaxed));
    return after;
  }

  const Machine& machine_;
  std::vector<std::atomic<TimeNs>> free_at_;  // by channel
};

}  // namespace hybridgen
