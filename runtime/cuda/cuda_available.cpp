#include "runtime/cuda/cuda_available.hpp"

#include <cuda_runtime_api.h>

namespace hybridgen {
namespace {

// Kernels are compiled for these cards only (cmake/cuda.cmake).
constexpr int kOldestMajor = 8;

std::string reason_of(cudaError_t error) {
  if (error == cudaErrorNoDevice) return "no NVIDIA GPU is visible to this process";
  if (error == cudaErrorInsufficientDriver) {
    int driver = 0;
    if (cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0)
      return "no NVIDIA driver on this machine";
    return "the NVIDIA driver knows CUDA " + std::to_string(driver / 1000) + "." +
           std::to_string(driver % 1000 / 10) + ", this program needs " +
           std::to_string(CUDART_VERSION / 1000) + "." + std::to_string(CUDART_VERSION % 1000 / 10);
  }
  return std::string("CUDA does not start: ") + cudaGetErrorString(error);
}

}  // namespace

CudaStatus cuda_available() {
  int count = 0;
  if (const cudaError_t error = cudaGetDeviceCount(&count); error != cudaSuccess) {
    return {false, reason_of(error)};
  }
  CudaStatus status;
  for (int i = 0; i < count; ++i) {
    cudaDeviceProp card{};
    if (cudaGetDeviceProperties(&card, i) != cudaSuccess) continue;
    const std::string name =
        std::string(card.name) + " (sm_" + std::to_string(card.major * 10 + card.minor) + ")";
    status.text += (status.text.empty() ? "" : ", ") + name;
    status.available |= i == 0 && card.major >= kOldestMajor;  // the executor drives card 0
  }
  if (!status.available) status.text += ": the kernels need sm_80 or newer";
  return status;
}

}  // namespace hybridgen
