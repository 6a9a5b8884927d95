// Kernels that are made ready while the one before them in the stream still runs (programmatic dependent
// launch, compute capability 9.0 and later; CUDA Programming Guide, "Programmatic Dependent Launch"): between
// two kernels of a few microseconds the start-up costs as much as the work. On older cards, and where the one
// before is no kernel, an ordinary launch.
//
// Every kernel that is launched this way calls wait_for_previous() before it touches anything that an earlier
// kernel writes, and before it ends: what it waits for is then complete for all that come behind it.
#pragma once

#include "runtime/cuda/kernels/launch.cuh"

#if defined(__CUDACC__)
#include <cuda_runtime.h>
#endif

namespace hybridgen::cuda {

#if defined(__CUDACC__)

// The kernels before this one have ended and what they wrote is visible.
__device__ inline void wait_for_previous() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

// The next kernel of the stream may be made ready as soon as every block of this one has said so.
__device__ inline void let_next_begin() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

template <class... Params, class... Args>
void launch_chained(const char* name, void (*kernel)(Params...), dim3 blocks, unsigned threads,
                    cudaStream_t stream, const Args&... args) {
  cudaLaunchAttribute chained = {};
  chained.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  chained.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config = {};
  config.gridDim = blocks;
  config.blockDim = dim3(threads);
  config.stream = stream;
  config.attrs = &chained;
  config.numAttrs = card_chains() ? 1 : 0;
  check(cudaLaunchKernelEx(&config, kernel, args...), name);
}

#else  // an emulated card

inline void wait_for_previous() {}
inline void let_next_begin() {}

template <class... Params, class... Args>
void launch_chained(const char*, void (*kernel)(Params...), dim3 blocks, unsigned threads,
                    cudaStream_t stream, const Args&... args) {
  simt::launch(blocks, dim3(threads), stream, [=] { kernel(args...); });
}

#endif

}  // namespace hybridgen::cuda
