// The CPU lane of a CUDA run: a pinned team that carries out a step's host ops, the same ones as in a run
// without a GPU, and joins the streams by flags.
#pragma once

#include <chrono>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "core/machine/machine.hpp"
#include "runtime/cuda/cuda_step_run.hpp"
#include "runtime/cuda/device_state.hpp"
#include "runtime/host/host_ops.hpp"

namespace hybridgen::cuda {

class HostLane {
 public:
  // All outlive the object; now: the run's clock. Starts the threads.
  HostLane(const Machine& machine, const HostOps& ops, std::vector<RequestBuffers>& slots, DeviceState& state,
           std::function<TimeNs()> now);
  // Ends the threads; the streams' waits are abandoned first.
  ~HostLane();

  // From the driver: takes the step up. Never blocks.
  void start(std::shared_ptr<CudaStepRun> run);
  // Sleeps until the lane is through with it; throws what an op threw.
  void wait(CudaStepRun& run);

 private:
  void serve(Team& team);
  void carry_out(CudaStepRun& run, const Op& op, Team& team);
  bool wait_for_streams(const CudaStepRun& run, const Op& op);
  void take_choice(CudaStepRun& run, const Op& op);
  void publish_choice(CudaStepRun& run, const Op& op);

  const Machine& machine_;
  const HostOps& ops_;
  std::vector<RequestBuffers>& slots_;
  DeviceState& state_;
  std::function<TimeNs()> now_;
  std::mutex mutex_;  // guards the queue and the failure
  std::deque<std::shared_ptr<CudaStepRun>> queue_;
  std::exception_ptr failure_;
  std::atomic<std::uint32_t> submitted_{0};
  std::atomic<bool> leaving_{false};
  std::unique_ptr<Team> team_;  // last: its threads use all of the above
};

}  // namespace hybridgen::cuda
