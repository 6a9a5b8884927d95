// Owners of what the CUDA runtime gives: memory as sources of a TierMemory, streams, events, graphs.
#pragma once

#include <cuda_runtime_api.h>

#include <utility>

#include "runtime/cuda/kernels/launch.cuh"
#include "runtime/host/tier_memory.hpp"

namespace hybridgen::cuda {

// How often this process has asked the CUDA runtime for memory, a stream, an event or a graph. A step that
// asks for none leaves it as it was.
std::int64_t allocations();
void count_allocation();

// The card's own memory; the CPU must not dereference it.
MemorySource device_memory();
// Pinned host memory that kernels reach at the same address.
MemorySource mapped_memory();

class Stream {
 public:
  Stream() {
    count_allocation();
    check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreate");
  }
  Stream(Stream&& other) noexcept : stream_(std::exchange(other.stream_, nullptr)) {}
  ~Stream() {
    if (stream_ != nullptr) cudaStreamDestroy(stream_);
  }
  cudaStream_t get() const { return stream_; }

 private:
  cudaStream_t stream_ = nullptr;
};

class Event {
 public:
  // timed: may be asked for elapsed times; joins alone are cheaper without.
  explicit Event(bool timed) {
    count_allocation();
    check(cudaEventCreateWithFlags(&event_, timed ? cudaEventDefault : cudaEventDisableTiming),
          "cudaEventCreate");
  }
  Event(Event&& other) noexcept : event_(std::exchange(other.event_, nullptr)) {}
  ~Event() {
    if (event_ != nullptr) cudaEventDestroy(event_);
  }
  cudaEvent_t get() const { return event_; }

 private:
  cudaEvent_t event_ = nullptr;
};

class Graph {
 public:
  // What was captured, ready to be launched; takes `captured` over.
  explicit Graph(cudaGraph_t captured) {
    count_allocation();
    const cudaError_t error = cudaGraphInstantiate(&graph_, captured, 0);
    cudaGraphDestroy(captured);
    check(error, "cudaGraphInstantiate");
  }
  Graph(Graph&& other) noexcept : graph_(std::exchange(other.graph_, nullptr)) {}
  ~Graph() {
    if (graph_ != nullptr) cudaGraphExecDestroy(graph_);
  }
  void launch(cudaStream_t stream) const { check(cudaGraphLaunch(graph_, stream), "cudaGraphLaunch"); }

 private:
  cudaGraphExec_t graph_ = nullptr;
};

}  // namespace hybridgen::cuda
