#include "runtime/cuda/stream_lanes.hpp"

#include <algorithm>
#include <cmath>

#include "runtime/cuda/kernels/flags.cuh"
#include "runtime/cuda/mapped_flag.hpp"

namespace hybridgen::cuda {
namespace {

std::vector<Event> events(std::size_t count, bool timed) {
  std::vector<Event> list;
  list.reserve(count);
  for (std::size_t i = 0; i < count; ++i) list.emplace_back(timed);
  return list;
}

void record(const Event& event, cudaStream_t stream) {
  check(cudaEventRecord(event.get(), stream), "cudaEventRecord");
}

void wait_for(const Event& event, cudaStream_t stream) {
  check(cudaStreamWaitEvent(stream, event.get(), 0), "cudaStreamWaitEvent");
}

TimeNs elapsed(const Event& from, const Event& to) {
  float ms = 0;
  check(cudaEventElapsedTime(&ms, from.get(), to.get()), "cudaEventElapsedTime");
  return static_cast<TimeNs>(std::llround(static_cast<double>(ms) * 1e6));
}

// Prompts differ in length and their launches with them.
bool decodes(const Step& step) {
  return std::all_of(step.batch.begin(), step.batch.end(),
                     [](const BatchRow& row) { return row.query_tokens == 1; });
}

}  // namespace

StreamLanes::StreamLanes(const GpuOps& ops, DeviceState& state, int streams, bool graphs)
    : ops_(ops),
      state_(state),
      graphs_(graphs),
      streams_(static_cast<std::size_t>(streams)),
      beside_(static_cast<std::size_t>(streams)),
      stamped_(events(static_cast<std::size_t>(streams), false)),
      ends_(events(state.most_ops, true)),
      joins_(events(state.most_ops, false)),
      starts_(events(2, true)),
      fork_(false),
      finished_(true) {}

void StreamLanes::launch(const CudaStepRun& run, std::uint64_t structure) {
  const cudaStream_t first = stream(0);
  start_ = 1 - start_;
  state_.upload_params(first);
  start_asked_ = std::chrono::steady_clock::now();
  record(starts_[start_], first);
  if (!graphs_ || !decodes(*run.step)) {
    enqueue(run, false);
  } else {
    auto found = captured_.find(structure);
    if (found == captured_.end()) {
      check(cudaStreamBeginCapture(first, cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
      enqueue(run, true);
      cudaGraph_t graph = nullptr;
      check(cudaStreamEndCapture(first, &graph), "cudaStreamEndCapture");
      found = captured_.emplace(structure, Graph(graph)).first;
    }
    found->second.launch(first);
  }
  record(finished_, first);
}

// All streams leave the first one at the step's start and come back to it at the end: a graph's shape.
void StreamLanes::enqueue(const CudaStepRun& run, bool capturing) {
  const StepJoins& joins = *run.joins;
  record(fork_, stream(0));
  for (std::size_t i = 1; i < joins.streams.size(); ++i) {
    if (joins.last_of[i].valid()) wait_for(fork_, streams_[i].get());
  }
  for (const Op& op : run.step->ops) {
    if (joins.ops[op.id.index()].stream != kHostLane) enqueue_op(run, op, capturing);
  }
  for (std::size_t i = 1; i < joins.streams.size(); ++i) {
    const OpId last = joins.last_of[i];
    if (!last.valid()) continue;
    record(joins_[last.index()], streams_[i].get());
    wait_for(joins_[last.index()], stream(0));
  }
  for (std::size_t i = 0; capturing && i < joins.streams.size(); ++i) {
    if (!joins.last_of[i].valid()) continue;
    record(stamped_[i], beside_[i].get());
    wait_for(stamped_[i], stream(0));
  }
}

void StreamLanes::enqueue_op(const CudaStepRun& run, const Op& op, bool capturing) {
  const OpJoins& join = run.joins->ops[op.id.index()];
  const cudaStream_t stream = this->stream(join.stream);
  const auto flag = [&](OpId id) { return state_.flags + id.index() * kFlagStride; };
  // Events first: see joins_of for why a flag may only be waited for behind them.
  for (const OpId id : join.event_waits) wait_for(joins_[id.index()], stream);
  for (const OpId id : join.flag_waits) wait_flag(state_.params.step, flag(id), state_.abandon, stream);
  ops_.enqueue(*run.step, op, stream);
  stamp_end(op, join.stream, capturing);
  if (join.raises_flag) raise_flag(state_.params.step, flag(op.id), stream);
  if (join.records_event) record(joins_[op.id.index()], stream);
}

// In a graph a plain record is only a dependency; an external one is a node that stamps at every replay. It
// stands beside the stream: between two kernels it takes 2.5 us and they could not be chained (docs/cuda.md).
void StreamLanes::stamp_end(const Op& op, int stream, bool capturing) {
  const Event& end = ends_[op.id.index()];
  if (!capturing) return record(end, this->stream(stream));
  const Event& join = joins_[op.id.index()];
  const cudaStream_t beside = beside_[static_cast<std::size_t>(stream)].get();
  record(join, this->stream(stream));
  wait_for(join, beside);
  check(cudaEventRecordWithFlags(end.get(), beside, cudaEventRecordExternal), "cudaEventRecordWithFlags");
}

void StreamLanes::wait() {
  check(cudaEventSynchronize(finished_.get()), "a kernel of the step");
}

std::chrono::steady_clock::time_point StreamLanes::anchor() {
  using Clock = std::chrono::steady_clock;
  constexpr int kWarmUps = 8;  // the first round trips start the card up
  Clock::time_point before;
  for (int i = 0; i <= kWarmUps; ++i) {
    before = Clock::now();
    record(starts_[start_], stream(0));
    check(cudaEventSynchronize(starts_[start_].get()), "cudaEventSynchronize");
  }
  return before + (Clock::now() - before) / 2;
}

TimeNs StreamLanes::end_of(OpId id) const {
  return elapsed(starts_[start_], ends_[id.index()]);
}

TimeNs StreamLanes::whole_step() const {
  return elapsed(starts_[start_], finished_);
}

TimeNs StreamLanes::since_last_start() const {
  return elapsed(starts_[1 - start_], starts_[start_]);
}

}  // namespace hybridgen::cuda
