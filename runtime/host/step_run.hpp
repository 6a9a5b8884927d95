// A step while lanes carry it out. Kept and used again from step to step, so that a step takes no memory once
// one as large was run.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "core/executor/report.hpp"
#include "core/step/step.hpp"
#include "runtime/host/wait_flag.hpp"

namespace hybridgen {

// What one lane has of a step; a cache line that other lanes' writes do not take away.
struct alignas(64) LaneRun {
  std::vector<OpId> ops;             // the lane's, ascending
  Signal ended;                      // how many ops of the step, counted by id, this lane is through with
  std::vector<Bytes> channel_bytes;  // moved by the lane's ops
};

class StepRun {
 public:
  StepRun(std::size_t lane_count, std::size_t channels) : lanes(lane_count) {
    for (LaneRun& lane : lanes) lane.channel_bytes.resize(channels);
  }

  // Before it is handed to the lanes. sequence: of the step among the executor's, from 0.
  void begin(std::shared_ptr<const Step> planned, std::uint32_t number, TimeNs now) {
    step = std::move(planned);
    sequence = number;
    start = now;
    records.resize(step->ops.size());
    outcomes.assign(step->outcomes.size(), -1);
    lanes_left.store(static_cast<std::uint32_t>(lanes.size()), std::memory_order_relaxed);
    for (LaneRun& lane : lanes) {
      lane.ops.clear();
      lane.ended.set(0);
      lane.channel_bytes.assign(lane.channel_bytes.size(), 0);
    }
    for (const Op& op : step->ops) lanes[op.lane.index()].ops.push_back(op.id);
  }

  std::shared_ptr<const Step> step;
  std::uint32_t sequence = 0;
  TimeNs start = 0;
  std::vector<OpRecord> records;       // by op, each written by the op's lane only
  std::vector<std::int64_t> outcomes;  // by outcome, each written by its producer only
  std::vector<LaneRun> lanes;
  std::atomic<std::uint32_t> lanes_left{0};  // that are not through with the step
};

}  // namespace hybridgen
