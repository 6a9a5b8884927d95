#include "runtime/calibrate/stream_read.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>

#include "runtime/calibrate/samples.hpp"
#include "runtime/host/cores.hpp"
#include "runtime/host/tier_memory.hpp"
#include "runtime/kernels/elementwise.hpp"

namespace hybridgen {
namespace {

constexpr Bytes kBytesPerThread = 256LL
                                  << 20;  // eight times the largest shared cache of common parts per thread

}  // namespace

Figure stream_read(int threads, int rounds) {
  TierMemory memory("stream");
  std::vector<const float*> buffers;
  for (int i = 0; i < threads; ++i) buffers.push_back(memory.array<float>(kBytesPerThread / 4));
  std::vector<double> rates;
  for (int round = 0; round < rounds; ++round) {
    std::atomic<int> ready{0};
    std::vector<double> seconds(static_cast<std::size_t>(threads));
    std::atomic<float> sink{0};
    {
      std::vector<std::jthread> workers;
      for (int i = 0; i < threads; ++i) {
        workers.emplace_back([&, i] {
          pin_to_core(i);
          ready.fetch_add(1);
          while (ready.load() < threads) {
          }
          const auto begin = std::chrono::steady_clock::now();
          // The largest value: one pass of loads, next to no arithmetic.
          sink.store(kernels::max_of(buffers[static_cast<std::size_t>(i)], kBytesPerThread / 4));
          seconds[static_cast<std::size_t>(i)] =
              std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
        });
      }
    }
    const double slowest = *std::max_element(seconds.begin(), seconds.end());
    rates.push_back(static_cast<double>(threads * kBytesPerThread) / slowest);
  }
  return figure_of(rates);
}

}  // namespace hybridgen
