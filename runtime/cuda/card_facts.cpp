#include "runtime/cuda/kernels/launch.cuh"

namespace hybridgen::cuda {

bool card_chains() {
  constexpr int kFirstMajor = 9;
  static const bool kChains = [] {
    int major = 0;
    check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0), "cudaDeviceGetAttribute");
    return major >= kFirstMajor;
  }();
  return kChains;
}

int card_multiprocessors() {
  static const int kCount = [] {
    int count = 0;
    check(cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, 0), "cudaDeviceGetAttribute");
    return count;
  }();
  return kCount;
}

}  // namespace hybridgen::cuda
