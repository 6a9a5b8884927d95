// A step while lanes carry it out.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/executor/report.hpp"
#include "core/step/step.hpp"

namespace hybridgen {

struct StepRun {
  StepRun(std::shared_ptr<const Step> planned, std::size_t lanes, std::size_t channels)
      : step(std::move(planned)),
        done(step->ops.size()),
        records(step->ops.size()),
        outcomes(step->outcomes.size(), -1),
        lane_channel_bytes(lanes, std::vector<Bytes>(channels)),
        lanes_left(std::make_shared<std::atomic<std::uint32_t>>(static_cast<std::uint32_t>(lanes))) {}

  std::shared_ptr<const Step> step;
  std::vector<std::atomic<std::uint32_t>> done;  // by op: 1 once it ended
  std::vector<OpRecord> records;                 // written by the op's lane only
  std::vector<std::int64_t> outcomes;            // written by the producer only
  std::vector<std::vector<Bytes>> lane_channel_bytes;
  std::shared_ptr<std::atomic<std::uint32_t>> lanes_left;         // 0: the step ended
  std::shared_ptr<std::atomic<std::uint32_t>> lanes_left_before;  // of the step before; null for the first
  TimeNs start = 0;
};

}  // namespace hybridgen
