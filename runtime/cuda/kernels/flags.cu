#include "runtime/cuda/kernels/flags.cuh"

namespace hybridgen::cuda {
namespace {

// Flags are 32-bit words of system memory; loads and stores of the whole system's order, not the card's
// alone.
__device__ std::uint32_t load_acquire(const std::uint32_t* address) {
  std::uint32_t value;
  asm volatile("ld.acquire.sys.global.u32 %0, [%1];" : "=r"(value) : "l"(address) : "memory");
  return value;
}

__device__ void store_release(std::uint32_t* address, std::uint32_t value) {
  asm volatile("st.release.sys.global.u32 [%0], %1;" ::"l"(address), "r"(value) : "memory");
}

__global__ void raise_flag_kernel(const StepParams* step, std::uint32_t* flag) {
  // The kernels before this one have ended, but their stores to mapped memory need the fence of the system.
  __threadfence_system();
  store_release(flag, step->sequence);
}

__global__ void wait_flag_kernel(const StepParams* step, const std::uint32_t* flag,
                                 const std::uint32_t* abandon) {
  const std::uint32_t sequence = step->sequence;
  while (load_acquire(flag) != sequence && load_acquire(abandon) == 0) __nanosleep(100);
}

}  // namespace

void raise_flag(const StepParams* step, std::uint32_t* flag, cudaStream_t stream) {
  raise_flag_kernel<<<1, 1, 0, stream>>>(step, flag);
  check_launch("raise_flag");
}

void wait_flag(const StepParams* step, const std::uint32_t* flag, const std::uint32_t* abandon,
               cudaStream_t stream) {
  wait_flag_kernel<<<1, 1, 0, stream>>>(step, flag, abandon);
  check_launch("wait_flag");
}

}  // namespace hybridgen::cuda
