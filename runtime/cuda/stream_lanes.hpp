// The GPU's half of a step: hands every op to its lane's stream with the joins that the plan's dependencies
// ask for, keeps a captured graph per step structure, and tells afterwards when each op ended.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <vector>

#include "runtime/cuda/cuda_step_run.hpp"
#include "runtime/cuda/gpu_ops.hpp"

namespace hybridgen::cuda {

class StreamLanes {
 public:
  // Both outlive the object. graphs: capture a decode step's structure when it is first seen and replay it;
  // off, every step is launched kernel by kernel. streams: as many as joins_of may give.
  StreamLanes(const GpuOps& ops, DeviceState& state, int streams, bool graphs);

  // Enqueues the whole step and returns; sizes must be in the pinned parameter block already.
  void launch(const CudaStepRun& run, std::uint64_t structure);
  // Blocks until the card is through with the launched step. Throws when a kernel failed.
  void wait();
  // After wait(): nanoseconds from the step's start on the card to the op's end there.
  TimeNs end_of(OpId id) const;
  // When the step's start was asked for, by the CPU's clock.
  std::chrono::steady_clock::time_point start_asked() const { return start_asked_; }
  // Nanoseconds on the card from the step's start to its end.
  TimeNs whole_step() const;
  // Nanoseconds on the card from the start of the step before to the start of this one; from the anchor to
  // the first step's.
  TimeNs since_last_start() const;
  // Stamps the card's time; returns when that was by the CPU's clock, to within half a round trip. Once,
  // before the first step; blocks.
  std::chrono::steady_clock::time_point anchor();

 private:
  void enqueue(const CudaStepRun& run, bool capturing);
  void enqueue_op(const CudaStepRun& run, const Op& op, bool capturing);
  void stamp_end(const Op& op, int stream, bool capturing);
  cudaStream_t stream(int index) const { return streams_[static_cast<std::size_t>(index)].get(); }

  const GpuOps& ops_;
  DeviceState& state_;
  bool graphs_;
  std::vector<Stream> streams_;
  std::vector<Stream>
      beside_;  // of a captured step: a stream's stamps, so that none stands between its kernels
  std::vector<Event> stamped_;  // by stream: all its stamps
  std::vector<Event> ends_;     // by op id: timestamps
  std::vector<Event> joins_;    // by op id: what other streams wait for
  std::vector<Event> starts_;   // of this step and of the one before, in turn
  std::size_t start_ = 0;
  std::chrono::steady_clock::time_point start_asked_;
  Event fork_, finished_;
  std::map<std::uint64_t, Graph> captured_;
};

}  // namespace hybridgen::cuda
