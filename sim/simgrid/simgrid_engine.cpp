#include "sim/simgrid/simgrid_engine.hpp"

#include <xbt/log.h>
#include <simgrid/kernel/Timer.hpp>
#include <simgrid/s4u.hpp>

#include <algorithm>
#include <exception>
#include <map>
#include <string>
#include <utility>

namespace hybridgen {
namespace {

namespace s4u = simgrid::s4u;

// Settings are per process and fixed once a platform exists; docs/simulation.md says why each.
s4u::Engine* make_engine() {
  static const bool first = [] {
    xbt_log_control_set("root.thresh:warning");
    return true;
  }();
  static bool configured = false;
  HG_CHECK(first && !s4u::Engine::has_instance(), "one SimGrid engine at a time in a process");
  int argc = 1;
  std::string name = "hybridgen";
  char* argv[] = {name.data(), nullptr};
  auto* engine = new s4u::Engine(&argc, argv);
  if (!std::exchange(configured, true)) {
    for (const char* setting :
         {"network/model:CM02", "network/crosstraffic:0", "network/TCP-gamma:1e18",
          "network/bandwidth-factor:1", "network/latency-factor:1", "surf/precision:1e-12"}) {
      s4u::Engine::set_config(setting);
    }
  }
  return engine;
}

constexpr double kFlopsPerSecond = 1e9;  // of a private host: one flop lasts one nanosecond

}  // namespace

class SimGridEngine::World {
 public:
  explicit World(const SimGridPlatform& platform);
  ~World() { active_ = nullptr; }

  std::vector<OpSpan> run(const OpGraph& graph, const PlanOp& plan);

 private:
  // What runs on one private host and link: a fixed time, the flows without channels, or a flow.
  struct Leg {
    int index = 0;
    OpId op;
    s4u::Host* host = nullptr;
    s4u::Link* cap = nullptr;
    double cap_per_s = 0;  // as set
    bool opens_flows = false;
    s4u::ActivityPtr activity;
  };
  struct OpState {
    std::vector<Flow> flows;  // that wait for the end of the fixed time
    double quiet_ns = 0;
    int legs = 0;
  };
  struct Path {
    s4u::Host* end = nullptr;
    double idle_cap_per_s = 0;  // for flows without a cap: more than the path ever gives
  };

  void add_path(s4u::NetZone* zone, const SimGridPlatform& platform, const std::vector<s4u::Link*>& links,
                const ChannelPath& channels);
  double now_ns() const { return (s4u::Engine::get_clock() - epoch_) * 1e9; }
  Leg& take_leg(OpId op);
  template <class Work>
  void guarded(Work&& work);
  void take_up(OpId op);
  void open_flows(OpId op);
  void start_time(OpId op, double ns, bool opens_flows);
  void start_flow(OpId op, const Flow& flow);
  void leg_ended(OpId op);
  static void completed(const s4u::Activity& activity);
  void settle();

  static World* active_;
  std::unique_ptr<s4u::Engine> engine_;
  std::vector<Leg> legs_;
  std::vector<Leg*> free_;
  std::map<ChannelPath, Path> paths_;

  // Of the present run.
  double epoch_ = 0;
  const PlanOp* plan_ = nullptr;
  OpProgress* progress_ = nullptr;
  std::vector<OpSpan> spans_;
  std::vector<OpState> states_;
  std::vector<OpId> opening_;                // their fixed time ended at this instant
  std::vector<s4u::ActivityPtr> completed_;  // at this instant; SimGrid still looks at them
  std::exception_ptr failure_;
};

SimGridEngine::World* SimGridEngine::World::active_ = nullptr;

SimGridEngine::World::World(const SimGridPlatform& platform) : engine_(make_engine()) {
  static const bool listening = [] {
    s4u::Activity::on_completion_cb([](const s4u::Activity& activity) { completed(activity); });
    return true;
  }();
  HG_CHECK(listening, "callbacks are per process");
  active_ = this;
  s4u::NetZone* zone = s4u::create_full_zone("machine");
  legs_.resize(static_cast<std::size_t>(platform.most_legs));
  for (std::size_t i = 0; i < legs_.size(); ++i) {
    const std::string name = std::to_string(i);
    legs_[i].index = static_cast<int>(i);
    legs_[i].host = zone->create_host("leg" + name, kFlopsPerSecond)->seal();
    legs_[i].cap = zone->create_link("cap" + name, 1)->set_latency(0)->seal();
    free_.push_back(&legs_[legs_.size() - 1 - i]);
  }
  std::vector<s4u::Link*> links;
  for (const double bytes_per_s : platform.channel_bytes_per_s) {
    links.push_back(
        zone->create_link("channel" + std::to_string(links.size()), bytes_per_s)->set_latency(0)->seal());
  }
  for (const ChannelPath& path : platform.paths) add_path(zone, platform, links, path);
  zone->seal();
}

void SimGridEngine::World::add_path(s4u::NetZone* zone, const SimGridPlatform& platform,
                                    const std::vector<s4u::Link*>& links, const ChannelPath& channels) {
  if (channels.empty() || paths_.contains(channels)) return;
  Path path;
  path.end = zone->create_host("path" + std::to_string(paths_.size()), kFlopsPerSecond)->seal();
  for (const ChannelId id : channels) {
    path.idle_cap_per_s = std::max(path.idle_cap_per_s, 2 * platform.channel_bytes_per_s[id.index()]);
  }
  for (const Leg& leg : legs_) {
    std::vector<s4u::LinkInRoute> route{s4u::LinkInRoute(leg.cap)};
    for (const ChannelId id : channels) route.emplace_back(links.at(id.index()));
    zone->add_route(leg.host->get_netpoint(), path.end->get_netpoint(), nullptr, nullptr, route, false);
  }
  paths_.emplace(channels, path);
}

std::vector<OpSpan> SimGridEngine::World::run(const OpGraph& graph, const PlanOp& plan) {
  OpProgress progress(graph);
  epoch_ = s4u::Engine::get_clock();
  plan_ = &plan;
  progress_ = &progress;
  spans_.assign(graph.size(), {});
  states_.assign(graph.size(), {});
  failure_ = nullptr;
  progress.begin([this](OpId op) { guarded([&] { take_up(op); }); });
  if (free_.size() < legs_.size()) engine_->run();  // after a failure too: what runs must end
  if (failure_) std::rethrow_exception(failure_);
  HG_CHECK(progress.done(), "SimGrid stopped before the last op");
  return std::move(spans_);
}

// An exception must not pass through SimGrid: it is kept, nothing new starts, and what runs ends.
template <class Work>
void SimGridEngine::World::guarded(Work&& work) {
  if (failure_) return;
  try {
    work();
  } catch (...) {
    failure_ = std::current_exception();
  }
}

void SimGridEngine::World::take_up(OpId op) {
  OpPlan plan = (*plan_)(op);
  check_plan(op, plan);
  OpState& state = states_[op.index()];
  state.quiet_ns = hybridgen::quiet_ns(plan);
  std::erase_if(plan.flows, [](const Flow& flow) { return flow.channels.empty(); });
  state.flows = std::move(plan.flows);
  spans_[op.index()].start_ns = now_ns() + plan.delay_ns;
  double before_flows = plan.delay_ns + plan.fixed_ns;
  // One activity instead of two where nothing else runs beside it.
  if (state.flows.empty()) before_flows += std::exchange(state.quiet_ns, 0);
  if (before_flows > 0) {
    start_time(op, before_flows, true);
  } else {
    open_flows(op);
  }
}

void SimGridEngine::World::open_flows(OpId op) {
  OpState& state = states_[op.index()];
  state.legs = static_cast<int>(state.flows.size()) + 1;  // the 1: this function
  for (const Flow& flow : state.flows) start_flow(op, flow);
  if (state.quiet_ns > 0) {
    ++state.legs;
    start_time(op, state.quiet_ns, false);
  }
  leg_ended(op);
}

SimGridEngine::World::Leg& SimGridEngine::World::take_leg(OpId op) {
  HG_CHECK(!free_.empty(), "more than " << legs_.size() << " legs in progress at op " << op.value);
  Leg& leg = *free_.back();
  free_.pop_back();
  leg.op = op;
  return leg;
}

void SimGridEngine::World::start_time(OpId op, double ns, bool opens_flows) {
  Leg& leg = take_leg(op);
  leg.opens_flows = opens_flows;
  const s4u::ExecPtr exec = s4u::Exec::init();
  exec->set_flops_amount(ns)->set_host(leg.host);
  exec->set_data(&leg);
  leg.activity = exec;
  exec->vetoable_start();
}

void SimGridEngine::World::start_flow(OpId op, const Flow& flow) {
  const auto path = paths_.find(flow.channels);
  HG_CHECK(path != paths_.end(), "op " << op.value << " takes a path that the platform was not made for");
  Leg& leg = take_leg(op);
  leg.opens_flows = false;
  const double cap = flow.cap_per_s > 0 ? flow.cap_per_s : path->second.idle_cap_per_s;
  if (cap != leg.cap_per_s) leg.cap->set_bandwidth(cap);
  leg.cap_per_s = cap;
  const s4u::CommPtr comm = s4u::Comm::sendto_init(leg.host, path->second.end);
  comm->set_payload_size(static_cast<std::uint64_t>(flow.amount));
  comm->set_data(&leg);
  leg.activity = comm;
  comm->vetoable_start();
}

void SimGridEngine::World::leg_ended(OpId op) {
  if (--states_[op.index()].legs > 0) return;
  spans_[op.index()].end_ns = now_ns();
  progress_->end(op);
}

// SimGrid reports what ended at one instant in an order of its own. A timer at the same instant fires after
// all of them; there the order is ours.
void SimGridEngine::World::completed(const s4u::Activity& activity) {
  Leg& leg = *activity.get_data<Leg>();
  World& world = *active_;
  if (world.completed_.empty()) {
    simgrid::kernel::timer::Timer::set(s4u::Engine::get_clock(), [] { active_->settle(); });
  }
  world.completed_.push_back(std::move(leg.activity));
  world.free_.push_back(&leg);
  if (leg.opens_flows) {
    world.opening_.push_back(leg.op);
  } else {
    world.leg_ended(leg.op);
  }
}

void SimGridEngine::World::settle() {
  completed_.clear();
  std::sort(opening_.begin(), opening_.end());
  for (const OpId op : opening_) guarded([&] { open_flows(op); });
  opening_.clear();
  progress_->release([this](OpId op) { guarded([&] { take_up(op); }); });
}

SimGridEngine::SimGridEngine(const SimGridPlatform& platform) : world_(std::make_unique<World>(platform)) {}

SimGridEngine::~SimGridEngine() = default;

std::vector<OpSpan> SimGridEngine::run(const OpGraph& graph, const PlanOp& plan) {
  return world_->run(graph, plan);
}

}  // namespace hybridgen
