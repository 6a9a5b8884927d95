#include "runtime/cuda/bench/cuda_bench.hpp"

#include "runtime/cuda/bench/flag_checks.hpp"
#include "runtime/cuda/bench/kernel_checks.hpp"
#include "runtime/cuda/cuda_available.hpp"
#include "runtime/cuda/kernels/launch.cuh"

// Written by the build.
#include "kernel_hashes.hpp"

namespace hybridgen::cuda {

Card bench_card() {
  std::size_t free = 0;
  std::size_t total = 0;
  check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
  return {cuda_available().text, static_cast<Bytes>(free)};
}

std::map<std::string, std::string> kernel_sources() {
  std::map<std::string, std::string> sources;
  for (const auto& [kernel, hash] : kKernelHashes) sources[kernel] = hash;
  return sources;
}

std::vector<Measurement> measure_correctness(int rounds) {
  constexpr std::int64_t kMostTokens = 4096;
  std::vector<KernelCheck> checks = kernel_checks();
  checks.push_back(flag_check());
  std::vector<Measurement> figures;
  for (int round = 0; round < rounds; ++round) {
    // Small shapes find wrong edges, large ones wrong sums.
    const std::int64_t most = round % 2 == 0 ? 300 : kMostTokens;
    const auto seed = static_cast<unsigned>(1 + 1000 * round);
    for (Measurement& figure : run_checks(checks, check_shapes(most, seed)))
      figures.push_back(std::move(figure));
  }
  return figures;
}

}  // namespace hybridgen::cuda
