#include "sim/fluid/fluid_engine.hpp"

#include <algorithm>
#include <limits>
#include <queue>
#include <tuple>
#include <utility>

namespace hybridgen {
namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();

// The flows in progress. Costs O(flows) per change of their set and nothing in between.
class ActiveFlows {
 public:
  explicit ActiveFlows(MaxMin& max_min) : max_min_(max_min) {}

  void open(OpId op, const Flow& flow) {
    flows_.push_back({op, flow.amount, flow.cap_per_s, 0, kNever, flow.channels});
    changed_ = true;
  }

  // When the first of them ends, if none joins.
  double next_end(double now) {
    if (changed_) reshare(now);
    return next_end_;
  }

  // Calls ended(op) for every flow that ends now.
  template <class Ended>
  void close(double now, Ended&& ended) {
    if (next_end_ > now) return;
    bring_to(now);
    for (std::size_t i = 0; i < flows_.size();) {
      if (flows_[i].end > now) {
        ++i;
        continue;
      }
      ended(flows_[i].op);
      if (i + 1 < flows_.size()) flows_[i] = std::move(flows_.back());
      flows_.pop_back();
    }
    changed_ = true;
  }

 private:
  struct Active {
    OpId op;
    double left = 0;  // of the amount, at shared_at_
    double cap_per_s = 0;
    double rate_per_s = 0;
    double end = kNever;
    ChannelPath channels;
  };

  void bring_to(double now) {
    for (Active& flow : flows_) flow.left -= flow.rate_per_s * (now - shared_at_) * 1e-9;
    shared_at_ = now;
  }

  void reshare(double now) {
    bring_to(now);
    demands_.clear();
    for (const Active& flow : flows_) demands_.push_back({flow.cap_per_s, flow.channels});
    rates_.resize(flows_.size());
    max_min_.share(demands_, rates_);
    next_end_ = kNever;
    for (std::size_t i = 0; i < flows_.size(); ++i) {
      Active& flow = flows_[i];
      // Rounding may leave a hair less than nothing; time never runs backwards for it.
      flow.end = flow.left > 0 ? now + flow.left / rates_[i] * 1e9 : now;
      flow.rate_per_s = rates_[i];
      next_end_ = std::min(next_end_, flow.end);
    }
    changed_ = false;
  }

  MaxMin& max_min_;
  std::vector<Active> flows_;
  std::vector<Demand> demands_;
  std::vector<double> rates_;
  double shared_at_ = 0;
  double next_end_ = kNever;
  bool changed_ = false;
};

// One run of one graph.
class FluidRun {
 public:
  FluidRun(const OpGraph& graph, const Engine::PlanOp& plan, MaxMin& max_min)
      : plan_(plan), progress_(graph), flows_(max_min), spans_(graph.size()), states_(graph.size()) {}

  std::vector<OpSpan> run() {
    const auto start = [this](OpId op) { take_up(op); };
    progress_.begin(start);
    while (!progress_.done()) {
      const double next = std::min(flows_.next_end(now_), queue_.empty() ? kNever : queue_.top().at);
      HG_CHECK(next < kNever && next >= now_, "time goes from " << now_ << " to " << next);
      now_ = next;
      while (!queue_.empty() && queue_.top().at == now_) {
        const Event event = queue_.top();
        queue_.pop();
        event.opens_flows ? open_flows(event.op) : leg_ended(event.op);
      }
      flows_.close(now_, [this](OpId op) { leg_ended(op); });
      progress_.release(start);
    }
    return std::move(spans_);
  }

 private:
  struct Event {
    double at = 0;
    OpId op;
    bool opens_flows = false;
    friend bool operator>(const Event& a, const Event& b) {
      return std::tie(a.at, a.op) > std::tie(b.at, b.op);
    }
  };
  struct OpState {
    std::vector<Flow> flows;  // that wait for the end of the fixed time
    int legs = 0;             // flows and quiet time that have not ended
  };

  void take_up(OpId op) {
    OpPlan plan = plan_(op);
    check_plan(op, plan);
    const double quiet = quiet_ns(plan);
    std::erase_if(plan.flows, [](const Flow& flow) { return flow.channels.empty(); });
    spans_[op.index()].start_ns = now_ + plan.delay_ns;
    const double flows_from = now_ + plan.delay_ns + plan.fixed_ns;
    OpState& state = states_[op.index()];
    state.legs = static_cast<int>(plan.flows.size());
    // The quiet end needs no flow to be known; of an op without channels it is the end.
    if (state.legs == 0 || quiet > 0) {
      ++state.legs;
      at(flows_from + quiet, op, false);
    }
    if (plan.flows.empty()) return;
    state.flows = std::move(plan.flows);
    at(flows_from, op, true);
  }

  void at(double time, OpId op, bool opens_flows) {
    if (time > now_) {
      queue_.push({time, op, opens_flows});
    } else if (opens_flows) {
      open_flows(op);
    } else {
      leg_ended(op);
    }
  }

  void open_flows(OpId op) {
    for (const Flow& flow : states_[op.index()].flows) flows_.open(op, flow);
    states_[op.index()].flows.clear();
  }

  void leg_ended(OpId op) {
    if (--states_[op.index()].legs > 0) return;
    spans_[op.index()].end_ns = now_;
    progress_.end(op);
  }

  const Engine::PlanOp& plan_;
  OpProgress progress_;
  ActiveFlows flows_;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> queue_;
  std::vector<OpSpan> spans_;
  std::vector<OpState> states_;
  double now_ = 0;
};

}  // namespace

FluidEngine::FluidEngine(std::vector<double> channel_bytes_per_s)
    : max_min_(std::move(channel_bytes_per_s)) {}

std::vector<OpSpan> FluidEngine::run(const OpGraph& graph, const PlanOp& plan) {
  return FluidRun(graph, plan, max_min_).run();
}

}  // namespace hybridgen
