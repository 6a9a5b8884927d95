#include "runtime/calibrate/survey.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "core/base/check.hpp"
#include "runtime/calibrate/samples.hpp"
#include "runtime/calibrate/survey_node.hpp"
#include "runtime/host/cores.hpp"
#include "runtime/host/numa_memory.hpp"
#include "runtime/kernels/elementwise.hpp"

namespace hybridgen {
namespace {

constexpr int kSamples = 3;               // of a round, undisturbed ones
constexpr int kMostTries = 8;             // for them
constexpr std::size_t kControlEvery = 6;  // probes
constexpr Bytes kWindow = 32LL << 20;     // of one thread's read in a sample: a millisecond or two
constexpr Bytes kMostArena = 1LL << 30;
constexpr Bytes kLeastArena = 256LL << 20;

MemorySource source_of_node(int node) {
  return node < 0 ? system_memory() : node_memory({node});
}

// Well beyond the caches, well below what is free.
Bytes arena_bytes(const Topology& topology, const MemoryNode& node) {
  Bytes bytes = std::clamp(8 * topology.last_cache, kLeastArena, kMostArena);
  if (node.free > 0) bytes = std::min(bytes, node.free / 8);
  return bytes / kWindow * kWindow;
}

double median_of(const std::function<double()>& sample) {
  std::vector<double> values, disturbed;
  for (int i = 0; i < kMostTries && static_cast<int>(values.size()) < kSamples; ++i) {
    const double value = sample();
    value > 0 ? values.push_back(value) : disturbed.push_back(-value);
  }
  if (!values.empty()) return figure_of(values).value;
  return -figure_of(disturbed).value;  // better than none; the sign goes on
}

}  // namespace

Survey::Node::Node(const MemoryNode& where, Bytes bytes)
    : place(where),
      memory("node " + std::to_string(where.node), source_of_node(where.node)),
      size(bytes),
      arena(memory.allocate(size)),
      sink(memory.allocate(size)),
      chain(memory.array<std::uint32_t>(kChainBytes / 4)) {
  fill_arena();
  link_chain();
}

void Survey::Node::fill_arena() {
  auto* words = reinterpret_cast<std::uint16_t*>(arena);
  std::uint32_t state = 1;
  for (Bytes i = 0; i < size / 2; ++i) {
    state = state * 1664525U + 1013904223U;
    // Sign and fraction at random, exponent that of 1/8 to 1/4.
    words[i] = static_cast<std::uint16_t>(0x3000U | (state >> 16 & 0x83ffU));
  }
}

// Sattolo's shuffle: one cycle through all lines.
void Survey::Node::link_chain() {
  constexpr auto kLines = static_cast<std::uint32_t>(kChainBytes / kLine);
  std::vector<std::uint32_t> order(kLines);
  for (std::uint32_t i = 0; i < kLines; ++i) order[i] = i;
  std::uint64_t state = 1;
  for (std::uint32_t i = kLines - 1; i > 0; --i) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    std::swap(order[i], order[static_cast<std::uint32_t>((state >> 33) % i)]);
  }
  for (std::uint32_t i = 0; i < kLines; ++i) chain[i * (kLine / 4)] = order[i];
}

Survey::Survey(const Topology& topology) : topology_(topology), crew_(usable_cores()) {
  for (const MemoryNode& node : topology_.nodes) {
    const Bytes bytes = arena_bytes(topology_, node);
    if (bytes >= kWindow) nodes_.push_back(std::make_unique<Node>(node, bytes));
  }
  HG_CHECK(!nodes_.empty(), "no node of this machine has memory to measure with");
  add_memory_probes();
  const int core = topology_.nodes.front().cores.empty() ? 0 : topology_.nodes.front().cores.front();
  add_kernel_probes(*nodes_.front(), core);
}

Survey::~Survey() = default;

void Survey::add(const std::string& subject, const std::string& condition, const std::string& quantity,
                 const std::string& unit, std::function<double()> sample) {
  SurveyProbe probe;
  probe.figure.subject = subject;
  probe.figure.condition = condition;
  probe.figure.quantity = quantity;
  probe.figure.unit = unit;
  probe.sample = std::move(sample);
  probes_.push_back(std::move(probe));
}

void Survey::round() {
  const MemoryNode& home = nodes_.front()->place;
  double slowest = 0;
  for (std::size_t i = 0; i < probes_.size(); ++i) {
    if (i % kControlEvery == 0) {
      const double rate = median_of([&] { return read_rate(*nodes_.front(), home.cores); });
      if (i == 0 || rate < slowest) slowest = rate;
    }
    probes_[i].rounds.push_back(std::abs(median_of(probes_[i].sample)));
  }
  control_.push_back(slowest);
}

std::vector<Measurement> Survey::figures(const std::vector<bool>& use) const {
  std::vector<Measurement> figures;
  for (const SurveyProbe& probe : probes_) {
    std::vector<double> values;
    for (std::size_t i = 0; i < probe.rounds.size(); ++i) {
      if (use.at(i)) values.push_back(probe.rounds[i]);
    }
    if (values.empty()) continue;
    const Figure figure = figure_of(values);
    figures.push_back(probe.figure);
    figures.back().value = figure.value;
    figures.back().spread = figure.spread;
  }
  return figures;
}

double Survey::read_rate(Node& node, const std::vector<int>& cores) {
  const auto threads = static_cast<Bytes>(cores.size());
  const Bytes part = node.size / threads / Node::kLine * Node::kLine;
  const Bytes window = std::min(kWindow, part);
  const Bytes at = node.next_window(window, part);
  std::atomic<float> used{0};
  const double seconds = crew_.seconds(cores, [&](int i) {
    // The largest value: one pass of loads, next to no arithmetic.
    used.store(kernels::max_of(reinterpret_cast<const float*>(node.arena + i * part + at), window / 4));
  });
  return static_cast<double>(threads * window) / seconds;
}

double Survey::rate_of(Node& node, int core, Bytes bytes, int calls, double per_call,
                       const std::function<void(const std::byte*)>& work) {
  std::vector<Bytes> windows;
  for (int i = 0; i < calls; ++i) windows.push_back(node.next_window(bytes, node.size));
  const double seconds = crew_.seconds({core}, [&](int) {
    for (const Bytes at : windows) work(node.arena + at);
  });
  return per_call * calls / seconds;
}

}  // namespace hybridgen
