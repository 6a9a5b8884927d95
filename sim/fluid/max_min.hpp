// Max-min fair sharing of channels by flows with rate caps, all weights 1: no flow can go faster without
// making a slower one (or an equally slow one) slower still. The rates r are the only ones with
//   r_i <= cap_i,   sum of r_i over the flows of channel c <= capacity_c,
// where every flow is at its cap or crosses a full channel on which no other flow is faster.
#pragma once

#include <span>
#include <vector>

#include "core/base/ids.hpp"

namespace hybridgen {

struct Demand {
  double cap_per_s = 0;  // 0: none
  std::span<const ChannelId> channels;
};

class MaxMin {
 public:
  explicit MaxMin(std::vector<double> capacity_per_s);  // by channel id

  // Rates per second by position. Every demand has a cap or a channel.
  void share(std::span<const Demand> demands, std::span<double> rates);

 private:
  void count(std::span<const Demand> demands);
  double least_share();
  bool freeze_capped(std::span<const Demand> demands, double level, std::span<double> rates);
  void freeze_bottlenecked(std::span<const Demand> demands, double level, std::span<double> rates);
  void freeze(const Demand& demand, double rate);

  struct ChannelState {
    double left = 0;    // capacity that no frozen flow has taken
    double share = 0;   // left / flows, at the start of the round
    int flows = 0;      // that are not frozen
    bool seen = false;  // in touched_
  };
  std::vector<double> capacity_;
  std::vector<ChannelState> channels_;
  std::vector<ChannelId> touched_;  // by some demand
  std::vector<std::size_t> open_;   // demands that are not frozen
};

}  // namespace hybridgen
