// The emulated card's side of flags: kernels/flags.cu is all PTX of memory order, which no emulation has.
#include "runtime/cuda/kernels/flags.cuh"

#include <atomic>

#include "tests/cuda_emulation/card.hpp"
#include "tests/cuda_emulation/card_memory.hpp"

namespace hybridgen::cuda {

void raise_flag(const StepParams* step, std::uint32_t* flag, cudaStream_t stream) {
  simt::enqueue(stream, [=] { std::atomic_ref(*flag).store(step->sequence, std::memory_order_release); });
}

void wait_flag(const StepParams* step, const std::uint32_t* flag, const std::uint32_t* abandon,
               cudaStream_t stream) {
  const auto load = [](const std::uint32_t* word) {
    return std::atomic_ref(*const_cast<std::uint32_t*>(word)).load(std::memory_order_acquire);
  };
  // The step's number lies in the card's memory and is read when the wait begins.
  simt::enqueue(
      stream, [] {},
      [=] {
        const simt::CardMemoryOpen open;
        return load(flag) == step->sequence || load(abandon) != 0;
      });
}

}  // namespace hybridgen::cuda
