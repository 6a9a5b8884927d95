#include "tests/cuda_emulation/simt.hpp"

#include <ucontext.h>

#include <cstdlib>
#include <vector>

#include "runtime/cuda/kernels/launch.cuh"

namespace hybridgen::simt {
namespace {

constexpr std::size_t kStack = 128 * 1024;
constexpr unsigned kMostRounds = 10'000'000;

struct Fiber {
  ucontext_t context;
  std::vector<char> stack = std::vector<char>(kStack);
  bool done = false;
  std::uint64_t exchanges = 0;
  std::uint64_t barriers = 0;
};

struct Block {
  std::vector<Fiber> fibers;
  ucontext_t scheduler;
  unsigned current = 0;
  uint3 index;
  dim3 grid;
  dim3 size;
  std::vector<std::uint64_t> arrived_in_warp;
  std::uint64_t arrived = 0;
  std::vector<std::byte> slots[2];  // in turn: a lane is never two exchanges ahead of its warp
  const std::function<void()>* kernel = nullptr;
  std::string failure;
};
Block block;

Fiber& me() {
  return block.fibers[block.current];
}
void yield() {
  swapcontext(&me().context, &block.scheduler);
}

void fiber_main() {
  try {
    (*block.kernel)();
  } catch (const std::exception& error) {
    block.failure = error.what();
  }
  me().done = true;
  yield();
}

void start_fibers() {
  for (Fiber& fiber : block.fibers) {
    fiber.done = false;
    fiber.exchanges = fiber.barriers = 0;
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.data();
    fiber.context.uc_stack.ss_size = fiber.stack.size();
    fiber.context.uc_link = nullptr;
    makecontext(&fiber.context, fiber_main, 0);
  }
}

// Rounds go up and down in turn, so that a missing barrier shows in one of them.
void run_block() {
  const auto count = static_cast<unsigned>(block.fibers.size());
  start_fibers();
  unsigned left = count;
  for (unsigned round = 0; left > 0; ++round) {
    if (round > kMostRounds) throw std::logic_error("the threads of a block wait for each other for ever");
    for (unsigned i = 0; i < count; ++i) {
      block.current = round % 2 == 0 ? i : count - 1 - i;
      if (me().done) continue;
      swapcontext(&block.scheduler, &me().context);
      if (me().done) --left;
      if (!block.failure.empty()) throw std::logic_error(block.failure);
    }
  }
}

}  // namespace

void run(dim3 grid, dim3 size, const std::function<void()>& kernel) {
  block.kernel = &kernel;
  block.grid = grid;
  block.size = size;
  block.failure.clear();
  block.fibers.resize(size.x);
  for (auto& slots : block.slots) slots.resize(size.x * kSlotBytes);
  for (unsigned y = 0; y < grid.y; ++y) {
    for (unsigned x = 0; x < grid.x; ++x) {
      block.index = {x, y, 0};
      block.arrived_in_warp.assign((size.x + 31) / 32, 0);
      block.arrived = 0;
      run_block();
    }
  }
}

uint3 thread_index() {
  return {block.current, 0, 0};
}
uint3 block_index() {
  return block.index;
}
dim3 grid_size() {
  return block.grid;
}
dim3 block_size() {
  return block.size;
}

void meet_block() {
  const std::uint64_t mine = ++me().barriers;
  ++block.arrived;
  while (block.arrived < mine * block.fibers.size()) yield();
}

const std::byte* exchange(const void* mine, std::size_t bytes) {
  const unsigned warp = block.current / 32;
  const std::uint64_t turn = ++me().exchanges;
  std::vector<std::byte>& slots = block.slots[turn % 2];
  if (bytes > 0) std::memcpy(slots.data() + block.current * kSlotBytes, mine, bytes);
  ++block.arrived_in_warp[warp];
  while (block.arrived_in_warp[warp] < turn * 32) yield();
  return slots.data() + warp * 32 * kSlotBytes;
}

}  // namespace hybridgen::simt

// What the launch functions and the checks ask of the CUDA runtime, which is not linked here.
extern "C" cudaError_t cudaGetLastError() {
  return cudaSuccess;
}
extern "C" cudaError_t cudaFuncSetAttribute(const void*, cudaFuncAttribute, int) {
  return cudaSuccess;
}
extern "C" cudaError_t cudaDeviceSynchronize() {
  return cudaSuccess;
}
extern "C" cudaError_t cudaMallocManaged(void** address, std::size_t bytes, unsigned) {
  *address = std::aligned_alloc(256, (bytes + 255) / 256 * 256);  // aligned like memory of a card
  return *address != nullptr ? cudaSuccess : cudaErrorMemoryAllocation;
}
extern "C" cudaError_t cudaFree(void* address) {
  std::free(address);
  return cudaSuccess;
}
void hybridgen::cuda::check(cudaError_t error, const char* what) {
  if (error != cudaSuccess) throw std::runtime_error(what);
}
