#include "sim/fluid/max_min.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "core/base/check.hpp"

namespace hybridgen {

MaxMin::MaxMin(std::vector<double> capacity_per_s)
    : capacity_(std::move(capacity_per_s)), channels_(capacity_.size()) {}

// Progressive filling: all open flows have one level, which rises until a cap or a channel stops some of
// them. Caps at or below the level that the fullest channel allows stop first, all of them in one round:
// freezing a flow below the level only leaves more to the others.
void MaxMin::share(std::span<const Demand> demands, std::span<double> rates) {
  HG_CHECK(demands.size() == rates.size(), "one rate per demand");
  count(demands);
  while (!open_.empty()) {
    const double level = least_share();
    if (!freeze_capped(demands, level, rates)) freeze_bottlenecked(demands, level, rates);
  }
  for (const ChannelId channel : touched_) channels_[channel.index()].seen = false;
}

void MaxMin::count(std::span<const Demand> demands) {
  touched_.clear();
  open_.clear();
  for (std::size_t i = 0; i < demands.size(); ++i) {
    HG_CHECK(demands[i].cap_per_s > 0 || !demands[i].channels.empty(), "nothing limits flow " << i);
    open_.push_back(i);
    for (const ChannelId id : demands[i].channels) {
      ChannelState& channel = channels_[id.index()];
      if (!channel.seen) {
        channel = {capacity_[id.index()], 0, 0, true};
        touched_.push_back(id);
      }
      ++channel.flows;
    }
  }
}

double MaxMin::least_share() {
  double least = std::numeric_limits<double>::infinity();
  for (const ChannelId id : touched_) {
    ChannelState& channel = channels_[id.index()];
    if (channel.flows == 0) continue;
    channel.share = channel.left / channel.flows;
    least = std::min(least, channel.share);
  }
  return least;
}

bool MaxMin::freeze_capped(std::span<const Demand> demands, double level, std::span<double> rates) {
  const auto capped = [&](std::size_t i) {
    const double cap = demands[i].cap_per_s;
    if (cap == 0 || cap > level) return false;
    rates[i] = cap;
    freeze(demands[i], cap);
    return true;
  };
  return std::erase_if(open_, capped) > 0;
}

void MaxMin::freeze_bottlenecked(std::span<const Demand> demands, double level, std::span<double> rates) {
  const auto stopped = [&](std::size_t i) {
    const auto full = [&](ChannelId id) { return channels_[id.index()].share <= level; };
    if (std::none_of(demands[i].channels.begin(), demands[i].channels.end(), full)) return false;
    rates[i] = level;
    freeze(demands[i], level);
    return true;
  };
  const auto frozen = std::erase_if(open_, stopped);
  HG_CHECK(frozen > 0, "no flow is stopped at level " << level);
}

void MaxMin::freeze(const Demand& demand, double rate) {
  for (const ChannelId id : demand.channels) {
    ChannelState& channel = channels_[id.index()];
    channel.left -= rate;
    --channel.flows;
  }
}

}  // namespace hybridgen
