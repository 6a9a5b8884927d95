// Probes of memories: bandwidth, cores against nodes, latency, copies.
#include <cstring>
#include <set>

#include "runtime/calibrate/survey_node.hpp"

namespace hybridgen {
namespace {

constexpr int kMostRows = 8;  // of the matrix: each core up to here, else one core of each node
constexpr int kChaseSteps = 20'000;
constexpr Bytes kWindow = 16LL << 20;  // of one thread's write or copy in a sample

std::string bytes_text(Bytes bytes) {
  if (bytes >= 1 << 20) return std::to_string(bytes >> 20) + " MiB";
  return std::to_string(bytes >> 10) + " KiB";
}

std::string threads_text(std::size_t threads) {
  return std::to_string(threads) + (threads == 1 ? " thread" : " threads");
}

std::string name_of_node(const MemoryNode& node) {
  return node.node < 0 ? "memory" : "node " + std::to_string(node.node);
}

// 1, 2, 4, ... and all of them.
std::set<std::size_t> thread_counts(std::size_t cores) {
  std::set<std::size_t> counts{cores};
  for (std::size_t n = 1; n < cores; n *= 2) counts.insert(n);
  return counts;
}

}  // namespace

void Survey::add_memory_probes() {
  std::vector<int> all, rows;
  for (const MemoryNode& node : topology_.nodes) {
    all.insert(all.end(), node.cores.begin(), node.cores.end());
    if (!node.cores.empty()) rows.push_back(node.cores.front());
  }
  if (static_cast<int>(all.size()) <= kMostRows) rows = all;
  for (const auto& node : nodes_) {
    for (const MemoryNode& from : topology_.nodes) {
      if (from.cores.empty()) continue;
      const std::string whose = "of " + name_of_node(from) + ", in " + name_of_node(node->place);
      for (const std::size_t count : thread_counts(from.cores.size())) {
        add_bandwidth(*node, {from.cores.begin(), from.cores.begin() + static_cast<std::ptrdiff_t>(count)},
                      whose);
      }
    }
    for (const int core : rows) {
      const std::string pair = "core " + std::to_string(core) + ", " + name_of_node(node->place);
      add("core to node", pair, "read", "GB/s",
          [this, at = node.get(), core] { return read_rate(*at, {core}) / 1e9; });
      add_latency(*node, core);
    }
  }
  const int first = rows.front();
  for (const auto& node : nodes_) add_copies(*node, first);
}

void Survey::add_bandwidth(Node& node, const std::vector<int>& cores, const std::string& whose) {
  const std::string condition = threads_text(cores.size()) + " " + whose;
  const auto each = [this, &node, cores](Bytes window,
                                         const std::function<void(std::byte*, std::byte*)>& work) {
    const Bytes part = node.size / static_cast<Bytes>(cores.size()) / Node::kLine * Node::kLine;
    const Bytes bytes = std::min(window, part);
    const Bytes at = node.next_window(bytes, part);
    const double seconds =
        crew_.seconds(cores, [&](int i) { work(node.arena + i * part + at, node.sink + i * part + at); });
    return static_cast<double>(bytes) * static_cast<double>(cores.size()) / seconds / 1e9;
  };
  add("bandwidth", condition, "read", "GB/s", [this, &node, cores] { return read_rate(node, cores) / 1e9; });
  const auto window_of = [&node, threads = static_cast<Bytes>(cores.size())] {
    return std::min(kWindow, node.size / threads / Node::kLine * Node::kLine);
  };
  add("bandwidth", condition, "write", "GB/s", [each, window_of] {
    const Bytes window = window_of();
    return each(window, [window](std::byte*, std::byte* to) {
      std::memset(to, 0x2c, static_cast<std::size_t>(window));
    });
  });
  add("bandwidth", condition, "copy (bytes copied)", "GB/s", [each, window_of] {
    const Bytes window = window_of();
    return each(window, [window](std::byte* from, std::byte* to) {
      std::memcpy(to, from, static_cast<std::size_t>(window));
    });
  });
}

void Survey::add_latency(Node& node, int core) {
  add("core to node", "core " + std::to_string(core) + ", " + name_of_node(node.place),
      "latency of a dependent load", "ns", [this, &node, core] {
        const double seconds = crew_.seconds({core}, [&node](int) {
          std::uint32_t at = node.at;
          for (int i = 0; i < kChaseSteps; ++i)
            at = node.chain[static_cast<std::size_t>(at) * (Node::kLine / 4)];
          node.at = at;
        });
        return seconds * 1e9 / kChaseSteps;
      });
}

void Survey::add_copies(Node& node, int core) {
  const std::string& home = name_of_node(nodes_.front()->place);
  for (const Bytes bytes : {Bytes{4} << 10, Bytes{64} << 10, Bytes{1} << 20, Bytes{16} << 20}) {
    const int calls = static_cast<int>(std::clamp<Bytes>((Bytes{8} << 20) / bytes, 1, 512));
    add("copy", bytes_text(bytes) + ", " + home + " to " + name_of_node(node.place), "time", "us",
        [this, &node, core, bytes, calls] {
          std::byte* to = node.sink;
          const std::byte* const end = node.sink + node.size;
          const double per_second =
              rate_of(*nodes_.front(), core, bytes, calls, 1, [&](const std::byte* from) {
                if (to + bytes > end) to = node.sink;
                std::memcpy(to, from, static_cast<std::size_t>(bytes));
                to += bytes;
              });
          return 1e6 / per_second;
        });
  }
}

}  // namespace hybridgen
