// Speed of whole passes on one thread: the plain decode loop and prefill on dummy weights of SmolLM2-135M's
// shape, and prefill's matrix product; and what the host executor adds to its kernels. Medians.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <vector>

#include "runtime/kernels/gemm.hpp"
#include "runtime/kernels/isa.hpp"
#include "tests/bench/dispatch_bench.hpp"
#include "tests/runtime/llama_loop.hpp"

namespace hybridgen::kernels {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_of(const std::function<void()>& work) {
  const auto start = Clock::now();
  work();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void run_gemm() {
  const std::int64_t tokens = 512, rows = 3072, cols = 576;
  std::vector<Half> weights(static_cast<std::size_t>(rows * cols));
  std::vector<float> x(static_cast<std::size_t>(tokens * cols), 0.5F);
  std::vector<float> y(static_cast<std::size_t>(tokens * rows));
  std::vector<float> scratch(static_cast<std::size_t>(gemm_scratch(cols)));
  std::vector<double> times;
  for (int i = 0; i < 7; ++i) {
    times.push_back(seconds_of([&] {
      gemm_f16(weights.data(), x.data(), cols, tokens, 0, rows, cols, y.data(), rows, scratch.data());
    }));
  }
  const double flops = 2.0 * static_cast<double>(tokens * rows * cols);
  std::printf("%-44s %7.1f GFLOP/s\n", "gemm_f16, 512 x 3072 x 576", flops / median(times) * 1e-9);
}

void run_loop() {
  const ModelShape shape{"smollm2-135m", 30, 576, 9, 3, 64, 1536, 49152, 8192, 1e5, 1e-5, true};
  AlignedMemory memory;
  const ModelWeights weights = dummy_weights(shape, 1, memory.allocator());
  for (const std::int64_t context : {512, 2048, 4096, 7500}) {
    LlamaLoop loop(weights, KvType::f16, context + 1);
    std::vector<double> times;
    for (int i = 0; i < 31; ++i) {
      loop.assume_length(context);
      times.push_back(seconds_of([&] { loop.decode(i); }));
    }
    std::printf("decode at context %5lld: %6.2f ms/token\n", static_cast<long long>(context),
                median(times) * 1e3);
  }
  std::vector<std::int32_t> ids;
  for (std::int32_t i = 0; i < 2048; ++i) ids.push_back(i * 37 % shape.vocab);
  std::vector<double> times;
  for (int i = 0; i < 3; ++i) {
    LlamaLoop loop(weights, KvType::f16, 2048);
    times.push_back(seconds_of([&] { loop.prefill(ids); }));
  }
  std::printf("prefill of 2048 tokens: %.2f s\n", median(times));
}

}  // namespace
}  // namespace hybridgen::kernels

int main() {
  hybridgen::testing::run_dispatch();
  std::printf("instruction set: %s, one thread\n",
              hybridgen::kernels::name_of(hybridgen::kernels::active_isa()));
  hybridgen::kernels::run_gemm();
  hybridgen::kernels::run_loop();
}
