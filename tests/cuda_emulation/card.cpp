#include "tests/cuda_emulation/card.hpp"

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <map>
#include <optional>
#include <stdexcept>

#include "tests/cuda_emulation/card_memory.hpp"
#include "tests/cuda_emulation/work_list.hpp"

using hybridgen::simt::Place;
using hybridgen::simt::WorkList;
using Clock = std::chrono::steady_clock;

struct CUstream_st {
  Place last;  // of what was enqueued, outside a capture
};

struct CUevent_st {
  bool timed = false;
  Place place;  // behind what it was last recorded
  std::optional<Clock::time_point> stamp;
};

struct CUgraph_st {
  WorkList list;
};

struct CUgraphExec_st {
  WorkList list;
};

namespace hybridgen::simt {
namespace {

struct Capture {
  CUstream_st* origin = nullptr;
  WorkList list;
  std::map<CUstream_st*, Place> last;  // of the streams that have joined
};

struct Card {
  CUstream_st default_stream;
  WorkList pending;
  std::optional<Capture> capture;
};

// Enqueued to and synchronised by one thread at a time, as the executor does.
Card& card() {
  static Card the_card;
  return the_card;
}

CUstream_st* stream_of(cudaStream_t stream) {
  return stream == nullptr ? &card().default_stream : stream;
}

WorkList& list() {
  return card().capture ? card().capture->list : card().pending;
}

// Throws where CUDA would invalidate the capture.
Place& last_of(CUstream_st* stream) {
  if (!card().capture) return stream->last;
  const auto found = card().capture->last.find(stream);
  if (found == card().capture->last.end()) throw std::logic_error("a stream outside the capture is used");
  return found->second;
}

void append(cudaStream_t stream, Work work) {
  Place& last = last_of(stream_of(stream));
  work.after.push_back(last);
  last = list().add(std::move(work));
}

void finish_all() {
  if (card().capture) throw std::logic_error("synchronising inside a capture");
  card().pending.run();
}

void record(CUevent_st* event, cudaStream_t stream, bool stamps) {
  append(stream,
         {stamps ? std::function<void()>([event] { event->stamp = Clock::now(); }) : nullptr, {}, {}});
  event->place = last_of(stream_of(stream));
}

}  // namespace

void enqueue(cudaStream_t stream, std::function<void()> work, std::function<bool()> ready) {
  append(stream, {std::move(work), std::move(ready), {}});
}

void set_card_seed(unsigned seed) {
  WorkList::draw_from(seed);
}

}  // namespace hybridgen::simt

using namespace hybridgen::simt;  // NOLINT: what follows is the runtime's C interface

extern "C" {

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = new CUstream_st;
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  delete stream;
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  *event = new CUevent_st{(flags & cudaEventDisableTiming) == 0, {}, {}};
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  return cudaEventRecordWithFlags(event, stream, cudaEventRecordDefault);
}
// In a capture only an external record is a node that stamps; any other is a mere dependency.
cudaError_t cudaEventRecordWithFlags(cudaEvent_t event, cudaStream_t stream, unsigned flags) {
  record(event, stream, event->timed && (!card().capture || flags == cudaEventRecordExternal));
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t) {
  finish_all();
  return cudaSuccess;
}
cudaError_t cudaEventElapsedTime(float* ms, cudaEvent_t from, cudaEvent_t to) {
  if (!from->stamp || !to->stamp) return cudaErrorInvalidResourceHandle;
  *ms = std::chrono::duration<float, std::milli>(*to->stamp - *from->stamp).count();
  return cudaSuccess;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  // Waiting for a captured event is how a stream joins the capture.
  if (card().capture && list().has(event->place)) card().capture->last.try_emplace(stream_of(stream));
  append(stream, {{}, {}, {event->place}});
  return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  card().capture.emplace();
  card().capture->origin = stream_of(stream);
  card().capture->last[card().capture->origin];
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  Capture capture = std::move(*card().capture);
  card().capture.reset();
  if (stream_of(stream) != capture.origin) return cudaErrorStreamCaptureUnmatched;
  if (!capture.list.all_before(capture.last.at(capture.origin))) return cudaErrorStreamCaptureUnjoined;
  *graph = new CUgraph_st{std::move(capture.list)};
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long) {
  *exec = new CUgraphExec_st{graph->list};
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  delete exec;
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  Place& last = last_of(stream_of(stream));
  last = list().add_copy(exec->list, last);
  return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize() {
  finish_all();
  return cudaSuccess;
}
cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind) {
  finish_all();
  const CardMemoryOpen open;
  std::memcpy(to, from, bytes);
  return cudaSuccess;
}
cudaError_t cudaMemset(void* to, int value, std::size_t bytes) {
  finish_all();
  const CardMemoryOpen open;
  std::memset(to, value, bytes);
  return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind,
                            cudaStream_t stream) {
  enqueue(stream, [=] { std::memcpy(to, from, bytes); });
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** address, std::size_t bytes) {
  *address = take_card_memory(bytes);
  return *address != nullptr ? cudaSuccess : cudaErrorMemoryAllocation;
}
cudaError_t cudaFree(void* address) {
  if (is_card_memory(address)) {
    give_card_memory();
  } else {
    std::free(address);  // managed
  }
  return cudaSuccess;
}
cudaError_t cudaHostAlloc(void** address, std::size_t bytes, unsigned) {
  constexpr std::size_t kPage = 4096;
  *address = std::aligned_alloc(kPage, (bytes + kPage - 1) / kPage * kPage);
  return *address != nullptr ? cudaSuccess : cudaErrorMemoryAllocation;
}
cudaError_t cudaFreeHost(void* address) {
  std::free(address);
  return cudaSuccess;
}
cudaError_t cudaHostRegister(void*, std::size_t, unsigned) {
  return cudaSuccess;
}
cudaError_t cudaHostUnregister(void*) {
  return cudaSuccess;
}
cudaError_t cudaMallocManaged(void** address, std::size_t bytes, unsigned flags) {
  return cudaHostAlloc(address, bytes, flags);
}

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* card, int) {
  *card = {};
  std::strcpy(card->name, "emulated");
  card->major = 9;
  return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr, int) {
  *value = 1;  // a multiprocessor: few blocks, and yet several splits of an attention
  return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}
cudaError_t cudaGetLastError() {
  return cudaSuccess;
}
cudaError_t cudaFuncSetAttribute(const void*, cudaFuncAttribute, int) {
  return cudaSuccess;
}
const char* cudaGetErrorString(cudaError_t error) {
  return error == cudaErrorStreamCaptureUnjoined ? "a stream was not joined to its capture" : "refused";
}

}  // extern "C"
