#include "core/machine/machine.hpp"

#include <algorithm>

#include "core/base/check.hpp"

namespace hybridgen {
namespace {

void append_once(ChannelPath& path, ChannelId id) {
  if (std::find(path.begin(), path.end(), id) == path.end()) path.push_back(id);
}

}  // namespace

ChannelId Machine::add_channel(const std::string& name, ChannelKind kind, double bytes_per_s) {
  HG_CHECK(bytes_per_s > 0, "channel " << name);
  const ChannelId id(static_cast<std::int64_t>(channels_.size()));
  channels_.push_back({id, name, kind, bytes_per_s});
  return id;
}

TierId Machine::add_tier(const std::string& name, TierKind kind, Bytes capacity, ChannelId channel,
                         bool emulated) {
  HG_CHECK(capacity > 0 && channel.valid(), "tier " << name);
  const TierId id(static_cast<std::int64_t>(tiers_.size()));
  tiers_.push_back({id, name, kind, capacity, channel, emulated, -1, {}});
  return id;
}

void Machine::set_numa_node(TierId tier, int node) {
  HG_CHECK(node >= 0, "tier " << tier.value << " on node " << node);
  tiers_.at(tier.index()).numa_node = node;
}

void Machine::set_interleaved(TierId tier, std::vector<TierId> over) {
  HG_CHECK(over.size() > 1 && tiers_.at(tier.index()).kind == TierKind::interleaved, "tier " << tier.value);
  tiers_[tier.index()].over = std::move(over);
}

ProcessorId Machine::add_processor(const std::string& name, ProcessorKind kind, const ProcessorCosts& costs) {
  const ProcessorId id(static_cast<std::int64_t>(processors_.size()));
  processors_.push_back({id, name, kind});
  costs_.push_back(costs);
  return id;
}

LaneId Machine::add_lane(const std::string& name, ProcessorId processor, int threads, int first_core) {
  HG_CHECK(processor.valid() && processor.index() < processors_.size(), "lane " << name);
  const LaneId id(static_cast<std::int64_t>(lanes_.size()));
  lanes_.push_back({id, name, processor, threads, first_core});
  return id;
}

void Machine::set_role(Role role, LaneId lane) {
  LaneId& slot = roles_[static_cast<std::size_t>(role)];
  HG_CHECK(!slot.valid() && lane.valid(), "role " << name_of(role));
  slot = lane;
}

void Machine::set_access_links(ProcessorId processor, TierId tier_id, ChannelPath links) {
  ChannelPath path{tier(tier_id).channel};
  for (const ChannelId link : links) append_once(path, link);
  HG_CHECK(access_.emplace(std::pair{processor, tier_id}, std::move(path)).second, "access defined twice");
}

void Machine::set_copy_links(TierId from, TierId to, ChannelPath links) {
  ChannelPath path{tier(from).channel};
  for (const ChannelId link : links) append_once(path, link);
  append_once(path, tier(to).channel);
  HG_CHECK(copy_.emplace(std::pair{from, to}, std::move(path)).second, "copy path defined twice");
}

void Machine::set_copy_cost(Role role, const CopyCost& cost) {
  copy_costs_.by_role[static_cast<std::size_t>(role)] = cost;
}

LaneId Machine::lane_of(Role role) const {
  const LaneId id = roles_[static_cast<std::size_t>(role)];
  HG_CHECK(id.valid(), name_ << " has no lane for role " << name_of(role));
  return id;
}

std::optional<TierId> Machine::tier_of(TierKind kind) const {
  for (const Tier& tier : tiers_) {
    if (tier.kind == kind) return tier.id;
  }
  return std::nullopt;
}

bool Machine::reaches(ProcessorId processor, TierId tier) const {
  return access_.contains({processor, tier});
}

const ChannelPath& Machine::access_path(ProcessorId processor, TierId tier_id) const {
  const auto found = access_.find({processor, tier_id});
  HG_CHECK(found != access_.end(),
           "processor " << this->processor(processor).name << " cannot reach tier " << tier(tier_id).name);
  return found->second;
}

bool Machine::copies(TierId from, TierId to) const {
  return copy_.contains({from, to});
}

const ChannelPath& Machine::copy_path(TierId from, TierId to) const {
  const auto found = copy_.find({from, to});
  HG_CHECK(found != copy_.end(), "no copy path from " << tier(from).name << " to " << tier(to).name);
  return found->second;
}

}  // namespace hybridgen
