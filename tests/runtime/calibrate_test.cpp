// What a calibration concludes from its rounds, and the machinery that times: no figure of this machine is a
// result here.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <thread>

#include "runtime/calibrate/crew.hpp"
#include "runtime/calibrate/quiet.hpp"
#include "runtime/calibrate/rounds.hpp"
#include "runtime/calibrate/survey.hpp"
#include "runtime/host/cores.hpp"

namespace hybridgen::testing {
namespace {

Rounds rounds_of(const std::vector<double>& others, const std::vector<double>& control) {
  Rounds rounds;
  for (std::size_t i = 0; i < others.size(); ++i) rounds.add(others[i], control[i]);
  return rounds;
}

TEST(Rounds, OneBusyAndOneSlowRound_leftOutAndStillQuiet) {
  const Rounds rounds = rounds_of({0, 0.01, 0.4, 0, 0.02, 0}, {9e9, 10e9, 10e9, 7e9, 10.1e9, 9.9e9});
  EXPECT_TRUE(rounds.was_quiet());
  EXPECT_EQ(rounds.use(), (std::vector<bool>{false, true, false, false, true, true}));
  EXPECT_EQ(rounds.quiet(), 3);
  EXPECT_EQ(rounds.disturbance(), "");
}

TEST(UnsteadyMemory, OneOfThreeBandwidthsWide_isNamedWithItsSpread) {
  std::vector<Measurement> figures = {
      {"bandwidth", "1 thread of node 0, in node 0", "read", "GB/s", 10, 0.03, std::nullopt},
      {"bandwidth", "2 threads of node 0, in node 0", "copy", "GB/s", 7, 0.10, std::nullopt},
      {"core to node", "core 1, node 0", "read", "GB/s", 10, 0.1749, std::nullopt},
      {"core to node", "core 1, node 0", "latency of a dependent load", "ns", 90, 0.5, std::nullopt},
      {"kernel", "gemv fp16, 576 columns", "rate", "GB/s", 9, 0.5, std::nullopt}};
  EXPECT_EQ(unsteady_memory(figures),
            "1 of 3 bandwidths spread by more than 10 %, most of all core 1, node 0, read: 17 %");
  figures[2].spread = 0.1;
  EXPECT_EQ(unsteady_memory(figures), "");
}

TEST(Rounds, MostRoundsBusy_allCountAndItIsSaid) {
  const Rounds rounds = rounds_of({0, 0.3, 0.4, 0.3, 0, 0.3}, {1e9, 1e9, 1e9, 1e9, 1e9, 0.5e9});
  EXPECT_FALSE(rounds.was_quiet());
  EXPECT_EQ(rounds.use(), (std::vector<bool>{false, true, true, true, true, true}));
  EXPECT_EQ(rounds.disturbance(),
            "of 5 rounds, in 4 others took more than 5 % of the processors (median 30 %), in 1 a plain read "
            "was more "
            "than 8 % slower than usual");
}

TEST(Rounds, FailedControl_isADisturbance) {
  EXPECT_EQ(rounds_of({0, 0, 0}, {1e9, -1, 1e9}).quiet(), 1);
}

TEST(Rounds, Chosen_valuesOfTheRoundsInUse) {
  EXPECT_EQ(chosen({1, 2, 3}, {false, true, true}), (std::vector<double>{2, 3}));
  EXPECT_EQ(chosen({1, 2}, {false, false}), (std::vector<double>{1, 2}))
      << "something is better than nothing";
}

TEST(Crew, AllCores_eachDoesItsShareOnce) {
  const int cores = usable_cores();
  Crew crew(cores);
  std::vector<int> all;
  for (int core = 0; core < cores; ++core) all.push_back(core);
  std::vector<int> done(all.size());
  for (int round = 0; round < 20; ++round)
    crew.seconds(all, [&](int i) { ++done[static_cast<std::size_t>(i)]; });
  EXPECT_EQ(std::count(done.begin(), done.end(), 20), cores);
}

TEST(Crew, Seconds_areThoseOfTheSlowest) {
  Crew crew(1);
  double best = -1;  // a core that is taken away gives a negative time
  for (int round = 0; round < 50 && best < 0; ++round) {
    best = crew.seconds({0}, [](int) {
      const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(3);
      while (std::chrono::steady_clock::now() < end) {
      }
    });
  }
  if (best < 0) GTEST_SKIP() << "the core was taken away each time";
  EXPECT_GE(best, 0.003);
}

TEST(QuietWatch, OwnWork_isNotOthers) {
  QuietWatch watch;
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(200);
  while (std::chrono::steady_clock::now() < end) {
  }
  EXPECT_GE(watch.lap(), 0);
  EXPECT_LE(watch.lap(), 1);
}

TEST(Topology, EveryCore_onOneNode) {
  const Topology topology = read_topology();
  std::multiset<int> cores;
  for (const MemoryNode& node : topology.nodes) cores.insert(node.cores.begin(), node.cores.end());
  EXPECT_EQ(static_cast<int>(cores.size()), usable_cores());
  EXPECT_EQ(std::set<int>(cores.begin(), cores.end()).size(), cores.size()) << "a core on two nodes";
}

// Every probe gives a figure, each kind of figure is there, and more memory is not read in no time.
TEST(Survey, OneRound_everyKindOfFigureAboveZero) {
  Survey survey(read_topology());
  survey.round();
  EXPECT_EQ(survey.control().size(), 1u);
  std::set<std::string> kinds;
  for (const Measurement& m : survey.figures({true})) {
    EXPECT_GT(m.value, 0) << m.subject << ", " << m.condition << ", " << m.quantity;
    kinds.insert(m.subject + ": " + m.quantity + ", " + m.unit);
  }
  EXPECT_EQ(kinds,
            (std::set<std::string>{
                "bandwidth: copy (bytes copied), GB/s", "bandwidth: read, GB/s", "bandwidth: write, GB/s",
                "copy: time, us", "core to node: latency of a dependent load, ns", "core to node: read, GB/s",
                "kernel: rate, GB/s", "kernel: rate, GFLOP/s"}));
}

}  // namespace
}  // namespace hybridgen::testing
