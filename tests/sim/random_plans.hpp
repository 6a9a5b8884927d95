// Random plans for both engines: lanes in order, joins between them, shared channels, caps, fixed times.
#pragma once

#include <random>

#include "sim/world/plan_run.hpp"

namespace hybridgen::testing {

// The draws use the generator's bits directly, so a seed means the same plans with every library.
class Draw {
 public:
  explicit Draw(std::uint64_t seed) : bits_(seed) {}
  std::int64_t between(std::int64_t least, std::int64_t most) {
    return least + static_cast<std::int64_t>(bits_() % static_cast<std::uint64_t>(most - least + 1));
  }
  bool one_in(int n) { return between(1, n) == 1; }

 private:
  std::mt19937_64 bits_;
};

struct RandomWorld {
  std::vector<double> channel_bytes_per_s;
  std::vector<ChannelPath> paths;
};

// 2 to 9 channels from 1 to 1000 GB/s, 4 to 12 paths over 1 to 4 of them.
inline RandomWorld random_world(Draw& draw) {
  RandomWorld world;
  const std::int64_t channels = draw.between(2, 9);
  for (std::int64_t i = 0; i < channels; ++i) {
    const double scale = draw.one_in(3) ? 10e9 : 1e9;
    world.channel_bytes_per_s.push_back(scale * static_cast<double>(draw.between(1, 100)));
  }
  const std::int64_t paths = draw.between(4, 12);
  for (std::int64_t i = 0; i < paths; ++i) {
    ChannelPath path;
    const std::int64_t first = draw.between(0, channels - 1);
    const std::int64_t length = std::min(draw.between(1, 4), channels);
    for (std::int64_t k = 0; k < length; ++k) path.emplace_back((first + k) % channels);
    world.paths.push_back(path);
  }
  return world;
}

inline Flow random_flow(const RandomWorld& world, Draw& draw) {
  Flow flow;
  flow.amount = static_cast<double>(draw.one_in(4) ? draw.between(1, 100) : draw.between(1, 2'000'000));
  flow.channels = world.paths[static_cast<std::size_t>(
      draw.between(0, static_cast<std::int64_t>(world.paths.size()) - 1))];
  if (draw.one_in(2)) flow.cap_per_s = 1e6 * static_cast<double>(draw.between(100, 60'000));
  return flow;
}

// Two ops of three move bytes over shared channels; the rest compute, or take no time.
inline std::vector<PlannedOp> random_plans(const RandomWorld& world, int lanes, int ops, Draw& draw) {
  std::vector<PlannedOp> plans(static_cast<std::size_t>(ops));
  std::vector<OpId> last(static_cast<std::size_t>(lanes));
  for (int i = 0; i < ops; ++i) {
    PlannedOp& op = plans[static_cast<std::size_t>(i)];
    OpId& previous = last[static_cast<std::size_t>(draw.between(0, lanes - 1))];
    if (previous.valid()) op.dependencies.push_back(previous);
    if (i > 0 && draw.one_in(3)) {
      const OpId other(i - draw.between(1, std::min(i, 2 * lanes)));
      if (other != previous) op.dependencies.push_back(other);
    }
    previous = OpId(i);
    if (draw.one_in(8)) op.plan.delay_ns = static_cast<double>(draw.between(0, 5000));
    if (!draw.one_in(3)) op.plan.fixed_ns = static_cast<double>(draw.between(0, 80'000)) / 8;
    const std::int64_t flows = draw.one_in(3) ? 0 : draw.between(1, 3);
    for (std::int64_t k = 0; k < flows; ++k) op.plan.flows.push_back(random_flow(world, draw));
    if (draw.one_in(4)) {
      op.plan.flows.push_back({static_cast<double>(draw.between(1, 1'000'000)),
                               1e6 * static_cast<double>(draw.between(100, 1'000'000)),
                               {}});
    }
  }
  return plans;
}

}  // namespace hybridgen::testing
