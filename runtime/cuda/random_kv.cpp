#include "runtime/cuda/random_kv.hpp"

#include <algorithm>
#include <random>

#include "runtime/cuda/kernels/launch.cuh"
#include "runtime/kernels/half.hpp"

namespace hybridgen::cuda {
namespace {

constexpr Bytes kBlock = 4 << 20;  // drawn once and laid down again and again

std::vector<std::byte> random_block(KvDtype dtype) {
  std::mt19937 random(7);
  std::normal_distribution<float> normal;
  std::vector<std::byte> block(kBlock);
  if (dtype == KvDtype::f16) {
    auto* halves = reinterpret_cast<Half*>(block.data());
    for (std::size_t i = 0; i < block.size() / sizeof(Half); ++i)
      halves[i] = kernels::to_half(normal(random));
  } else {
    auto* floats = reinterpret_cast<float*>(block.data());
    for (std::size_t i = 0; i < block.size() / sizeof(float); ++i) floats[i] = normal(random);
  }
  return block;
}

}  // namespace

void fill_with_random_kv(const ModelShape& shape, const MemoryPlan& plan,
                         const std::vector<RequestBuffers>& slots) {
  const std::vector<std::byte> block = random_block(plan.kv_dtype);
  const Bytes row = shape.kv_row_bytes(bytes_of(plan.kv_dtype));
  // Whichever side the address is on: the runtime knows.
  const auto fill = [&](const RowStore& store) {
    const Bytes bytes = store.slots * row;
    for (Bytes at = 0; at < bytes; at += kBlock) {
      check(cudaMemcpy(store.base + at, block.data(), static_cast<std::size_t>(std::min(kBlock, bytes - at)),
                       cudaMemcpyDefault),
            "random KV");
    }
  };
  for (const RequestBuffers& slot : slots) {
    for (int layer = 0; layer < shape.layers; ++layer) {
      if (slot.size().segment_tokens > 0) {
        fill(slot.device_k(KvPlace::segment, layer, 0));
        fill(slot.device_v(KvPlace::segment, layer, 0));
      }
      if (slot.size().host_tokens > 0) {
        fill(slot.host_k(layer));
        fill(slot.host_v(layer));
      }
    }
  }
}

}  // namespace hybridgen::cuda
