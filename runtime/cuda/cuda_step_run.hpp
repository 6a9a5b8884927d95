// A step while streams and the host lane carry it out.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/executor/report.hpp"
#include "core/step/step.hpp"
#include "runtime/cuda/step_joins.hpp"

namespace hybridgen::cuda {

struct CudaStepRun {
  explicit CudaStepRun(std::shared_ptr<const Step> planned) : step(std::move(planned)) {}

  std::shared_ptr<const Step> step;
  // Filled in when the step is launched.
  std::shared_ptr<const StepJoins> joins;
  std::uint32_t sequence = 0;
  TimeNs start = 0;
  // Written by the host lane, read once it is done.
  std::vector<OpRecord> records;                  // by op id; of host ops
  std::vector<std::int64_t> outcomes;             // by outcome id; -1: not the host's
  std::vector<std::vector<std::int64_t>> chosen;  // by slot, by layer: rows that a selection took
  std::vector<Bytes> channel_bytes;
  std::atomic<std::uint32_t> host_done{0};  // 1: the host lane is through
};

}  // namespace hybridgen::cuda
