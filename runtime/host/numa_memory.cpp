#include "runtime/host/numa_memory.hpp"

#include <numa.h>
#include <numaif.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "core/base/check.hpp"
#include "core/base/error.hpp"

namespace hybridgen {
namespace {

constexpr std::size_t kPagesPerCall = 4096;

std::string list_of(const std::vector<int>& nodes) {
  std::string text;
  for (const int node : nodes) text += (text.empty() ? "" : ", ") + std::to_string(node);
  return text;
}

std::uintptr_t page_number(const std::byte* address) {
  return reinterpret_cast<std::uintptr_t>(address) / static_cast<std::uintptr_t>(kPageBytes);
}

[[noreturn]] void throw_too_full(int node, Bytes wanted, Bytes free) {
  throw DoesNotFit("NUMA node " + std::to_string(node) + ": " + std::to_string(wanted) + " bytes wanted, " +
                   std::to_string(free) + " free; use a smaller context or batch, or another node");
}

// What each node has to give of so many pages is looked up before any of them is touched.
void check_room(const std::vector<int>& nodes, Bytes bytes) {
  const auto count = static_cast<Bytes>(nodes.size());
  const Bytes pages = (bytes + kPageBytes - 1) / kPageBytes;
  const Bytes share = (pages + count - 1) / count * kPageBytes;
  for (const int node : nodes) {
    const Bytes free = free_bytes(node);
    if (share > free) throw_too_full(node, share, free);
  }
}

// Preferred, not bound: a process that is bound to a full node is killed, a page elsewhere can be found.
void ask_for(const std::vector<int>& nodes, std::byte* address, Bytes bytes) {
  std::vector<unsigned long> mask(16);
  constexpr int kBits = 8 * static_cast<int>(sizeof(unsigned long));
  for (const int node : nodes) mask.at(static_cast<std::size_t>(node / kBits)) |= 1UL << (node % kBits);
  const int mode = nodes.size() == 1 ? MPOL_PREFERRED : MPOL_INTERLEAVE;
  if (mbind(address, static_cast<unsigned long>(bytes), mode, mask.data(), mask.size() * kBits, 0) != 0) {
    throw NotAvailable("memory on NUMA node " + list_of(nodes) + ": the system refused to place it (" +
                       std::strerror(errno) + ")");
  }
}

// Asks the kernel where pages lie (targets null), or to move them; returns what it says of each.
std::vector<int> move_or_ask(const std::vector<void*>& pages, const int* targets) {
  std::vector<int> status(pages.size(), -EIO);
  std::vector<void*> list = pages;
  if (numa_move_pages(0, list.size(), list.data(), targets, status.data(), targets ? MPOL_MF_MOVE : 0) < 0) {
    throw NotAvailable(std::string("NUMA: the system does not say where pages lie (") + std::strerror(errno) +
                       ")");
  }
  return status;
}

struct Astray {
  std::vector<void*> pages;
  std::vector<int> targets;
};

Astray astray(const std::vector<int>& nodes, std::byte* address, Bytes bytes) {
  const std::vector<int> found = page_nodes(address, bytes);
  Astray wrong;
  for (std::size_t i = 0; i < found.size(); ++i) {
    const int target = node_of_page(nodes, page_number(address) + i);
    if (found[i] == target) continue;
    wrong.pages.push_back(address + static_cast<Bytes>(i) * kPageBytes);
    wrong.targets.push_back(target);
  }
  return wrong;
}

// Every page where it belongs, or an error.
void settle(const std::vector<int>& nodes, std::byte* address, Bytes bytes) {
  Astray wrong = astray(nodes, address, bytes);
  if (wrong.pages.empty()) return;
  move_or_ask(wrong.pages, wrong.targets.data());
  wrong = astray(nodes, address, bytes);
  if (wrong.pages.empty()) return;
  throw_too_full(wrong.targets.front(), static_cast<Bytes>(wrong.pages.size()) * kPageBytes,
                 free_bytes(wrong.targets.front()));
}

std::byte* take(const std::vector<int>& nodes, Bytes bytes) {
  check_room(nodes, bytes);
  const auto size = static_cast<std::size_t>(bytes);
  void* mapped = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
  auto* address = static_cast<std::byte*>(mapped);
  try {
    ask_for(nodes, address, bytes);
    // A huge page lies on one node whole: right for one node, wrong for pages that alternate.
    madvise(mapped, size, nodes.size() == 1 ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    std::memset(mapped, 0, size);
    settle(nodes, address, bytes);
  } catch (...) {
    munmap(mapped, size);
    throw;
  }
  return address;
}

}  // namespace

std::vector<int> usable_nodes() {
  std::vector<int> nodes;
  if (numa_available() < 0) return nodes;
  bitmask* allowed = numa_get_mems_allowed();
  for (int node = 0; node <= numa_max_node(); ++node) {
    if (numa_bitmask_isbitset(allowed, static_cast<unsigned>(node)) && numa_node_size64(node, nullptr) > 0) {
      nodes.push_back(node);
    }
  }
  numa_bitmask_free(allowed);
  return nodes;
}

Bytes free_bytes(int node) {
  std::ifstream file("/sys/devices/system/node/node" + std::to_string(node) + "/meminfo");
  Bytes sum = 0;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);  // "Node 2 MemFree:  1234 kB"
    std::string skipped, number, key;
    Bytes kib = 0;
    words >> skipped >> number >> key >> kib;
    if (key == "MemFree:" || key == "Active(file):" || key == "Inactive(file):") sum += kib * 1024;
  }
  return sum;
}

std::vector<int> page_nodes(const std::byte* address, Bytes bytes) {
  std::vector<int> nodes;
  const auto first = reinterpret_cast<std::uintptr_t>(address) / kPageBytes * kPageBytes;
  const auto end = reinterpret_cast<std::uintptr_t>(address) + static_cast<std::uintptr_t>(bytes);
  std::vector<void*> pages;
  for (auto page = first; page < end; page += kPageBytes) {
    pages.push_back(reinterpret_cast<void*>(page));
    if (pages.size() < kPagesPerCall && page + kPageBytes < end) continue;
    const std::vector<int> found = move_or_ask(pages, nullptr);
    nodes.insert(nodes.end(), found.begin(), found.end());
    pages.clear();
  }
  return nodes;
}

int node_of_page(const std::vector<int>& nodes, std::uintptr_t page) {
  return nodes[page % nodes.size()];
}

MemorySource node_memory(std::vector<int> nodes) {
  HG_CHECK(!nodes.empty() && std::is_sorted(nodes.begin(), nodes.end()), "nodes " << list_of(nodes));
  std::string giver = (nodes.size() == 1 ? "NUMA node " : "NUMA nodes ") + list_of(nodes);
  return {std::move(giver), [nodes = std::move(nodes)](Bytes bytes) { return take(nodes, bytes); },
          [](std::byte* address, Bytes bytes) { munmap(address, static_cast<std::size_t>(bytes)); }};
}

}  // namespace hybridgen
