#include "runtime/cuda/bench/cuda_bench.hpp"

#include "runtime/cuda/bench/flag_checks.hpp"
#include "runtime/cuda/bench/kernel_checks.hpp"
#include "runtime/cuda/cuda_available.hpp"
#include "runtime/cuda/kernels/launch.cuh"
#include "runtime/host/cores.hpp"

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

std::vector<Measurement> measure_correctness(Tokens most_tokens) {
  // Several at a time only where the CPU may touch one check's memory while another's kernel runs.
  int concurrent = 0;
  check(cudaDeviceGetAttribute(&concurrent, cudaDevAttrConcurrentManagedAccess, 0), "cudaDeviceGetAttribute");
  const std::vector<CheckShape> shapes = check_shapes(most_tokens, static_cast<unsigned>(most_tokens));
  std::vector<Measurement> figures =
      run_checks(kernel_checks(), shapes, concurrent != 0 ? usable_cores() : 1);
  // By itself: while the card waits for the CPU, another check's cudaFree would wait for the card.
  for (Measurement& figure : run_checks({flag_check()}, shapes, 1)) figures.push_back(std::move(figure));
  return figures;
}

}  // namespace hybridgen::cuda
