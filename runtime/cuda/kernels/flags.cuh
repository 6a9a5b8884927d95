// How a stream and a CPU lane join without the driver: a word in mapped memory takes the step's sequence
// number. The CPU side uses std::atomic_ref on the same word (mapped_flag.hpp).
#pragma once

#include "runtime/cuda/kernels/launch.cuh"

namespace hybridgen::cuda {

// Everything that the stream wrote before is visible to the host when it sees the flag.
void raise_flag(const StepParams* step, std::uint32_t* flag, cudaStream_t stream);

// The stream goes on once the host has raised the flag. One thread spins: enqueue it only behind all that the
// host's op itself waits for, or it may hold the place that this needs. Ends without the flag when *abandon
// is not zero, so that a failed host op does not leave the card spinning.
void wait_flag(const StepParams* step, const std::uint32_t* flag, const std::uint32_t* abandon,
               cudaStream_t stream);

}  // namespace hybridgen::cuda
