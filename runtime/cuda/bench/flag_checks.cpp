#include "runtime/cuda/bench/flag_checks.hpp"

#include <cmath>

#include "runtime/cuda/device_memory.hpp"
#include "runtime/cuda/kernels/exchange.cuh"
#include "runtime/cuda/kernels/flags.cuh"
#include "runtime/cuda/mapped_flag.hpp"

namespace hybridgen::cuda {
namespace {

constexpr int kWords = 4096;
constexpr int kTrips = 50;

// Each trip: the card stores a vector and raises a flag, the CPU answers with a vector of its own, the card
// sends that back up and must have seen all of it.
CheckError check_flags(const CheckShape& shape) {
  TierMemory mapped("pinned memory", mapped_memory());
  TierMemory card("memory of the GPU", device_memory());
  auto* flags = mapped.array<std::uint32_t>(2 * kFlagStride);
  auto* abandon = mapped.array<std::uint32_t>(1);
  auto* down = mapped.array<float>(kWords);
  auto* answer = mapped.array<float>(kWords);
  auto* offsets = mapped.array<std::int32_t>(2);
  auto* step = card.array<StepParams>(1);
  auto* source = card.array<float>(kWords);
  auto* back = card.array<float>(kWords);
  auto* back_offsets = card.array<std::int32_t>(2);
  const Stream stream;
  std::vector<float> words(kWords);
  double wrong = 0;
  offsets[1] = kWords;
  for (int trip = 1; trip <= kTrips; ++trip) {
    const auto sequence = static_cast<std::uint32_t>(trip) + shape.seed;
    const StepParams params{sequence, 0, 0};
    const auto value = [&](int i) { return static_cast<float>(i + trip); };
    for (int i = 0; i < kWords; ++i) words[static_cast<std::size_t>(i)] = value(i);
    check(cudaMemcpy(source, words.data(), kWords * sizeof(float), cudaMemcpyHostToDevice), "upload");
    check(cudaMemcpy(step, &params, sizeof params, cudaMemcpyHostToDevice), "upload");
    send_query(source, kWords, down, stream.get());
    raise_flag(step, flags, stream.get());
    wait_flag(step, flags + kFlagStride, abandon, stream.get());
    send_scores({offsets, answer, 1, back_offsets, back}, 8, stream.get());
    if (!wait_until_raised(*flags, sequence, *abandon)) return {HUGE_VAL, std::nullopt};
    for (int i = 0; i < kWords; ++i) {
      wrong += down[i] != value(i);
      answer[i] = -value(i);
    }
    raise(flags[kFlagStride], sequence);
    check(cudaStreamSynchronize(stream.get()), "a join by flags");
    check(cudaMemcpy(words.data(), back, kWords * sizeof(float), cudaMemcpyDeviceToHost), "download");
    for (int i = 0; i < kWords; ++i) wrong += words[static_cast<std::size_t>(i)] != -value(i);
  }
  return {wrong, std::nullopt};
}

}  // namespace

KernelCheck flag_check() {
  return {"flags", "vectors there and back", 0, false, check_flags};
}

}  // namespace hybridgen::cuda
