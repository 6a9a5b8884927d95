#include "runtime/cuda/step_joins.hpp"

#include <algorithm>

namespace hybridgen::cuda {
namespace {

class Joiner {
 public:
  Joiner(const Step& step, const Machine& machine)
      : step_(step), host_(machine.lane_of(Role::host)), behind_(step.ops.size()) {
    joins_.streams.push_back(machine.lane_of(Role::device));
    for (const Role role : {Role::h2d, Role::d2h}) {
      const LaneId lane = machine.lane_of(role);
      if (std::find(joins_.streams.begin(), joins_.streams.end(), lane) == joins_.streams.end()) {
        joins_.streams.push_back(lane);
      }
    }
    joins_.ops.resize(step.ops.size());
    joins_.last_of.resize(joins_.streams.size());
    causes_.resize(joins_.streams.size());
  }

  StepJoins take() {
    for (const Op& op : step_.ops) {
      OpJoins& join = joins_.ops[op.id.index()];
      if (op.lane == host_) {
        host_op(op, join);
      } else {
        const auto found = std::find(joins_.streams.begin(), joins_.streams.end(), op.lane);
        join.stream = static_cast<int>(found - joins_.streams.begin());
        stream_op(op, join);
        joins_.last_of[static_cast<std::size_t>(join.stream)] = op.id;
      }
    }
    return std::move(joins_);
  }

 private:
  const OpJoins& join_of(OpId id) const { return joins_.ops[id.index()]; }

  void host_op(const Op& op, OpJoins& join) {
    for (const OpId id : step_.dependencies_of(op)) {
      if (join_of(id).stream == kHostLane) continue;  // earlier on this lane
      join.flag_waits.push_back(id);
      joins_.ops[id.index()].raises_flag = true;
      OpId& cause = causes_[static_cast<std::size_t>(join_of(id).stream)];
      cause = std::max(cause, id);
    }
    behind_[op.id.index()] = causes_;
  }

  void stream_op(const Op& op, OpJoins& join) {
    for (const OpId id : step_.dependencies_of(op)) {
      if (join_of(id).stream != kHostLane) {
        wait_for_event(join, id);
        continue;
      }
      join.flag_waits.push_back(id);
      joins_.ops[id.index()].raises_flag = true;
      for (const OpId cause : behind_[id.index()]) {
        if (cause.valid()) wait_for_event(join, cause);
      }
    }
  }

  void wait_for_event(OpJoins& join, OpId id) {
    if (join_of(id).stream == join.stream) return;  // earlier on this stream
    if (std::find(join.event_waits.begin(), join.event_waits.end(), id) != join.event_waits.end()) return;
    join.event_waits.push_back(id);
    joins_.ops[id.index()].records_event = true;
  }

  const Step& step_;
  LaneId host_;
  StepJoins joins_;
  std::vector<OpId> causes_;               // by stream: the latest op that the host lane has waited for
  std::vector<std::vector<OpId>> behind_;  // by host op: causes_ when it runs
};

}  // namespace

StepJoins joins_of(const Step& step, const Machine& machine) {
  return Joiner(step, machine).take();
}

}  // namespace hybridgen::cuda
