// What bench-machine measures on a card, a function per stage; each takes the memory that it needs and gives
// it back. Only where cuda_available() says so; a failing CUDA call throws std::runtime_error.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/base/units.hpp"
#include "core/machine/measurement.hpp"

namespace hybridgen::cuda {

struct Card {
  std::string name;  // "NVIDIA H200 (sm_90)"
  Bytes memory = 0;  // that a program may take now
};
Card bench_card();

// Source hash by kernel (runtime/cuda/kernel_hashes.py), as this program was built. Empty without CUDA.
std::map<std::string, std::string> kernel_sources();

// Every kernel against fp64 and the host's kernels, over a grid of random shapes of up to most_tokens rows.
std::vector<Measurement> measure_correctness(Tokens most_tokens);
// Each kernel's rate in turn with the card's own streaming read.
std::vector<Measurement> measure_kernel_speed();
// Copies by engine and by kernel, by size, in each direction and in both at once; the host's own reading.
std::vector<Measurement> measure_copies();
// A launch, a node of a replayed graph, a join of the card and a CPU thread by flags.
std::vector<Measurement> measure_launches();
// Rows of pinned host memory, gathered by a kernel in place, by row and number.
std::vector<Measurement> measure_mapped_gathers();
// Watts and joules per byte by the driver's own counter. NotAvailable where NVML or the counter is missing.
std::vector<Measurement> measure_energy();

}  // namespace hybridgen::cuda
