// A card on the CPU: what the CUDA runtime does with memory, streams, events and graphs. Nothing runs before
// somebody synchronises; then enqueued work runs one by one in a random order among all that streams and
// events allow, so that a join which is missing shows as a wrong result. The card's memory cannot be touched
// from outside such work. It knows nothing of memory order or time.
#pragma once

#include <cuda_runtime_api.h>

#include <functional>

namespace hybridgen::simt {

// Puts work on a stream, or into the graph that the stream is being captured into. Until `ready` says so, it
// does not begin: how a kernel that waits for a flag leaves the others their turn.
void enqueue(cudaStream_t stream, std::function<void()> work, std::function<bool()> ready = {});

// Orders are drawn anew from here on.
void set_card_seed(unsigned seed);

}  // namespace hybridgen::simt
