// A platform, checked: tiers, channels, processors, lanes, and which channels a byte passes on its way.
// Built once (from platform-models/*.yaml by formats), then read only.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/machine/channel.hpp"
#include "core/machine/cost.hpp"
#include "core/machine/lane.hpp"
#include "core/machine/processor.hpp"
#include "core/machine/tier.hpp"

namespace hybridgen {

using ChannelPath = std::vector<ChannelId>;  // each channel at most once

class Machine {
 public:
  explicit Machine(std::string name) : name_(std::move(name)) {}

  // Building. Ids are dense, in order of addition. A second definition of a role or path is our bug.
  ChannelId add_channel(const std::string& name, ChannelKind kind, double bytes_per_s);
  TierId add_tier(const std::string& name, TierKind kind, Bytes capacity, ChannelId channel,
                  bool emulated = false);
  void set_numa_node(TierId tier, int node);
  void set_interleaved(TierId tier, std::vector<TierId> over);
  ProcessorId add_processor(const std::string& name, ProcessorKind kind, const ProcessorCosts& costs);
  LaneId add_lane(const std::string& name, ProcessorId processor, int threads, int first_core = 0);
  void set_role(Role role, LaneId lane);
  // The channels between processor and tier beyond the tier's own; both directions.
  void set_access_links(ProcessorId processor, TierId tier, ChannelPath links);
  // The channels between two tiers beyond the tiers' own; one direction.
  void set_copy_links(TierId from, TierId to, ChannelPath links);
  void set_copy_cost(Role role, const CopyCost& cost);
  // Between the last op of a step and the first of the next: what deciding, building and waking up cost.
  void set_step_gap_ns(double ns) { step_gap_ns_ = ns; }

  const std::string& name() const { return name_; }
  const std::vector<Channel>& channels() const { return channels_; }
  const std::vector<Tier>& tiers() const { return tiers_; }
  const std::vector<Processor>& processors() const { return processors_; }
  const std::vector<Lane>& lanes() const { return lanes_; }
  const Channel& channel(ChannelId id) const { return channels_.at(id.index()); }
  const Tier& tier(TierId id) const { return tiers_.at(id.index()); }
  const Processor& processor(ProcessorId id) const { return processors_.at(id.index()); }
  const Lane& lane(LaneId id) const { return lanes_.at(id.index()); }
  LaneId lane_of(Role role) const;
  // The first tier of a kind; nothing where the platform has none.
  std::optional<TierId> tier_of(TierKind kind) const;
  const ProcessorCosts& costs(ProcessorId id) const { return costs_.at(id.index()); }
  const CopyCost& copy_cost(Role role) const { return copy_costs_.by_role[static_cast<std::size_t>(role)]; }

  double step_gap_ns() const { return step_gap_ns_; }

  // Whether the processor can read and write the tier in place.
  bool reaches(ProcessorId processor, TierId tier) const;
  // Channels that bytes between processor and tier occupy, the tier's own first. Checked: reaches().
  const ChannelPath& access_path(ProcessorId processor, TierId tier) const;
  bool copies(TierId from, TierId to) const;
  // Channels a copy occupies: source tier's, links, destination tier's; once each, so a copy inside one
  // memory occupies that memory once, at the rate of the bytes copied.
  const ChannelPath& copy_path(TierId from, TierId to) const;

 private:
  std::string name_;
  std::vector<Channel> channels_;
  std::vector<Tier> tiers_;
  std::vector<Processor> processors_;
  std::vector<ProcessorCosts> costs_;
  std::vector<Lane> lanes_;
  std::array<LaneId, kRoles> roles_{};
  CopyCosts copy_costs_;
  double step_gap_ns_ = 0;
  std::map<std::pair<ProcessorId, TierId>, ChannelPath> access_;
  std::map<std::pair<TierId, TierId>, ChannelPath> copy_;
};

}  // namespace hybridgen
