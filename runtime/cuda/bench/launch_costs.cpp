// What it costs to have work done on the card at all: launches, replayed graphs, joins by flags.
#include <chrono>

#include "runtime/calibrate/samples.hpp"
#include "runtime/cuda/bench/card_rig.hpp"
#include "runtime/cuda/bench/cuda_bench.hpp"
#include "runtime/cuda/kernels/activate.cuh"
#include "runtime/cuda/kernels/exchange.cuh"
#include "runtime/cuda/kernels/flags.cuh"
#include "runtime/cuda/mapped_flag.hpp"

namespace hybridgen::cuda {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kRounds = 15;
constexpr int kNodes = 320;  // ten ops in each of 32 layers
constexpr int kTrips = 100;  // joins there and back

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

class Launches {
 public:
  Launches()
      : rig_(1 << 20),
        step_(rig_.memory().array<StepParams>(1)),
        words_(rig_.memory().array<float>(2)),
        flags_(rig_.mapped().array<std::uint32_t>(static_cast<std::int64_t>(2 * kTrips * kFlagStride))),
        abandon_(rig_.mapped().array<std::uint32_t>(1)),
        join_(false) {
    for (int i = 0; i < kNodes; ++i) stamps_.emplace_back(true);
  }

  std::vector<Measurement> all() {
    plain();
    replayed();
    joined();
    return std::move(figures_);
  }

 private:
  // Next to nothing: one block that copies a word within the card.
  void small_kernel() { send_query(words_, 1, words_ + 1, rig_.stream()); }
  void chained_kernel() { relu(words_, 1, 1, rig_.stream()); }
  void figure(const char* subject, const std::string& condition, const char* quantity,
              const std::vector<double>& seconds) {
    const Figure time = figure_of(seconds);
    figures_.push_back({subject, condition, quantity, "us", time.value * 1e6, time.spread, std::nullopt});
  }
  void synchronise() { check(cudaStreamSynchronize(rig_.stream()), "cudaStreamSynchronize"); }

  void plain() {
    std::vector<double> host;
    std::vector<double> card;
    for (int round = 0; round < kRounds; ++round) {
      synchronise();
      const auto begin = Clock::now();
      for (int i = 0; i < kNodes; ++i) small_kernel();
      host.push_back(seconds_since(begin) / kNodes);
      synchronise();
      card.push_back(rig_.seconds_of(kNodes, [this](int) { small_kernel(); }));
    }
    figure("launch", "a kernel that copies a word", "host time", host);
    figure("launch", "a kernel that copies a word", "time on the card", card);
  }

  // How a step's graph may be built: kernels behind each other, started early or not, with stamps among them
  // or beside them.
  void replayed() {
    const std::string kernels = "a graph of " + std::to_string(kNodes) + " kernels";
    replay(kernels, [this](int) { small_kernel(); });
    replay(kernels + ", chained", [this](int) { chained_kernel(); });
    replay(kernels + ", a stamp behind each", [this](int i) {
      small_kernel();
      stamp(i, rig_.stream());
    });
    replay(kernels + ", chained, a kernel beside each", [this](int) {
      chained_kernel();
      wait_beside();
      send_query(words_, 1, words_ + 1, beside_.get());
    });
    replay(kernels + ", chained, a stamp beside each", [this](int i) {
      chained_kernel();
      wait_beside();
      stamp(i, beside_.get());
    });
  }

  void replay(const std::string& condition, const std::function<void(int)>& enqueue) {
    check(cudaStreamBeginCapture(rig_.stream(), cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
    wait_beside();
    for (int i = 0; i < kNodes; ++i) enqueue(i);
    check(cudaEventRecord(join_.get(), beside_.get()), "cudaEventRecord");
    check(cudaStreamWaitEvent(rig_.stream(), join_.get(), 0), "cudaStreamWaitEvent");
    cudaGraph_t captured = nullptr;
    check(cudaStreamEndCapture(rig_.stream(), &captured), "cudaStreamEndCapture");
    const Graph graph(captured);
    graph.launch(rig_.stream());
    std::vector<double> host;
    std::vector<double> card;
    for (int round = 0; round < kRounds; ++round) {
      synchronise();
      const auto begin = Clock::now();
      graph.launch(rig_.stream());
      host.push_back(seconds_since(begin));
      synchronise();
      card.push_back(rig_.seconds_of(4, [&](int) { graph.launch(rig_.stream()); }) / kNodes);
    }
    figure("graph replay", condition, "host time", host);
    figure("graph replay", condition, "time on the card per node", card);
  }
  // The second stream goes on from where the first one is.
  void wait_beside() {
    check(cudaEventRecord(join_.get(), rig_.stream()), "cudaEventRecord");
    check(cudaStreamWaitEvent(beside_.get(), join_.get(), 0), "cudaStreamWaitEvent");
  }
  void stamp(int i, cudaStream_t stream) {
    check(
        cudaEventRecordWithFlags(stamps_[static_cast<std::size_t>(i)].get(), stream, cudaEventRecordExternal),
        "cudaEventRecordWithFlags");
  }

  // The card raises a flag, the CPU answers it, the card goes on: kTrips times within one enqueued stream.
  void joined() {
    std::vector<double> trips;
    for (int round = 0; round < kRounds; ++round) {
      const auto sequence = static_cast<std::uint32_t>(round + 1);
      const StepParams params{sequence, 0, 0};
      check(cudaMemcpy(step_, &params, sizeof params, cudaMemcpyHostToDevice), "upload");
      for (int i = 0; i < kTrips; ++i) {
        raise_flag(step_, flag(2 * i), rig_.stream());
        wait_flag(step_, flag(2 * i + 1), abandon_, rig_.stream());
      }
      Clock::time_point begin;
      for (int i = 0; i < kTrips; ++i) {
        if (!wait_until_raised(*flag(2 * i), sequence, *abandon_)) return;
        if (i == 0) begin = Clock::now();
        raise(*flag(2 * i + 1), sequence);
      }
      synchronise();
      trips.push_back(seconds_since(begin) / kTrips);
    }
    figure("flag join", "card to CPU and back", "round trip", trips);
  }
  std::uint32_t* flag(int i) { return flags_ + static_cast<std::size_t>(i) * kFlagStride; }

  CardRig rig_;
  StepParams* step_;
  float* words_;
  std::uint32_t* flags_;
  std::uint32_t* abandon_;
  Stream beside_;
  Event join_;
  std::vector<Event> stamps_;
  std::vector<Measurement> figures_;
};

}  // namespace

std::vector<Measurement> measure_launches() {
  return Launches().all();
}

}  // namespace hybridgen::cuda
