#include "runtime/cuda/random_kv.hpp"

#include <algorithm>
#include <functional>
#include <future>
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
  const auto fill = [&](auto* elements, const auto& from_float) {
    const std::size_t count = block.size() / sizeof *elements;
    for (std::size_t i = 0; i < count; ++i) elements[i] = from_float(normal(random));
  };
  if (dtype == KvDtype::f16) fill(reinterpret_cast<Half*>(block.data()), kernels::to_half);
  if (dtype == KvDtype::bf16) fill(reinterpret_cast<kernels::Bfloat*>(block.data()), kernels::to_bfloat);
  if (dtype == KvDtype::f32) fill(reinterpret_cast<float*>(block.data()), [](float x) { return x; });
  return block;
}

}  // namespace

void fill_with_random_kv(const ModelShape& shape, const MemoryPlan& plan,
                         const std::vector<RequestBuffers>& slots) {
  const std::vector<std::byte> block = random_block(plan.kv_dtype);
  const Bytes row = kv_row_bytes(shape, plan.kv_dtype);
  // Whichever side the address is on: the runtime knows.
  const auto fill = [&](const RowStore& store) {
    const Bytes bytes = store.slots * row;
    for (Bytes at = 0; at < bytes; at += kBlock) {
      check(cudaMemcpy(store.base + at, block.data(), static_cast<std::size_t>(std::min(kBlock, bytes - at)),
                       cudaMemcpyDefault),
            "random KV");
    }
  };
  const auto fill_layer = [&](const RequestBuffers& slot, int layer) {
    if (slot.size().segment_tokens > 0) {
      fill(slot.device_k(KvPlace::segment, layer, 0));
      fill(slot.device_v(KvPlace::segment, layer, 0));
    }
    if (slot.size().host_tokens > 0) {
      fill(slot.host_k(layer));
      fill(slot.host_v(layer));
    }
  };
  // A layer's copy is one core's work: several at a time.
  for (const RequestBuffers& slot : slots) {
    std::vector<std::future<void>> layers;
    for (int layer = 0; layer < shape.layers; ++layer)
      layers.push_back(std::async(std::launch::async, fill_layer, std::cref(slot), layer));
    for (auto& layer : layers) layer.get();
  }
}

}  // namespace hybridgen::cuda
