#include "tests/cuda_emulation/simt.hpp"

#include <boost/context/fiber.hpp>
#include <memory>
#include <vector>

#include "tests/cuda_emulation/card.hpp"

namespace hybridgen::simt {
namespace {

namespace context = boost::context;

constexpr std::size_t kStack = 128 * 1024;
constexpr unsigned kMostRounds = 10'000'000;

// Stacks outlive the fibers on them: a launch makes thousands.
struct KeptStack {
  void deallocate(context::stack_context&) {}
};

struct Fiber {
  std::unique_ptr<char[]> stack{new char[kStack]};
  context::fiber self;       // suspended
  context::fiber scheduler;  // while it runs
  bool done = false;
  std::uint64_t exchanges = 0;
  std::uint64_t barriers = 0;
};

struct Block {
  std::vector<Fiber> fibers;  // at least size.x
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
  Fiber& fiber = me();
  fiber.scheduler = std::move(fiber.scheduler).resume();
}

context::fiber fiber_main(context::fiber&& scheduler) {
  Fiber& fiber = me();
  fiber.scheduler = std::move(scheduler);
  try {
    (*block.kernel)();
  } catch (const std::exception& error) {
    block.failure = error.what();
  }
  fiber.done = true;
  return std::move(fiber.scheduler);
}

void start_fibers() {
  for (unsigned i = 0; i < block.size.x; ++i) {
    Fiber& fiber = block.fibers[i];
    fiber.done = false;
    fiber.exchanges = fiber.barriers = 0;
    context::stack_context stack;
    stack.size = kStack;
    stack.sp = fiber.stack.get() + kStack;
    fiber.self = context::fiber(std::allocator_arg, context::preallocated(stack.sp, stack.size, stack),
                                KeptStack(), fiber_main);
  }
}

// Rounds go up and down in turn, so that a missing barrier shows in one of them.
void run_block() {
  const unsigned count = block.size.x;
  start_fibers();
  unsigned left = count;
  for (unsigned round = 0; left > 0; ++round) {
    if (round > kMostRounds) throw std::logic_error("the threads of a block wait for each other for ever");
    for (unsigned i = 0; i < count; ++i) {
      block.current = round % 2 == 0 ? i : count - 1 - i;
      if (me().done) continue;
      me().self = std::move(me().self).resume();
      if (me().done) --left;
      if (!block.failure.empty()) throw std::logic_error(block.failure);
    }
  }
}

void run(dim3 grid, dim3 size, const std::function<void()>& kernel) {
  block.kernel = &kernel;
  block.grid = grid;
  block.size = size;
  block.failure.clear();
  if (block.fibers.size() < size.x) block.fibers.resize(size.x);
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

}  // namespace

void launch(dim3 grid, dim3 size, cudaStream_t stream, std::function<void()> kernel) {
  enqueue(stream, [grid, size, kernel = std::move(kernel)] { run(grid, size, kernel); });
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
  while (block.arrived < mine * block.size.x) yield();
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
