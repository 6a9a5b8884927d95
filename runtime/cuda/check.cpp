#include <stdexcept>
#include <string>

#include "runtime/cuda/kernels/launch.cuh"

namespace hybridgen::cuda {

void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  throw std::runtime_error(std::string("CUDA: ") + what + ": " + cudaGetErrorString(error));
}

}  // namespace hybridgen::cuda
