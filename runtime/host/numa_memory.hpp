// NUMA nodes of this machine (libnuma): which there are, what they have left, and memory of chosen nodes
// whose every page was asked where it lies.
#pragma once

#include <vector>

#include "runtime/host/tier_memory.hpp"

namespace hybridgen {

inline constexpr Bytes kPageBytes = 4096;

// Nodes with memory that this process may use, ascending; empty where the system knows no nodes.
std::vector<int> usable_nodes();
// What a node could give now: unused bytes, and those of its file cache, which the system gives up. Nodes
// reserve some for themselves, so the last few percent may be refused all the same.
Bytes free_bytes(int node);
// The node of each page from `address` on; negative (an errno) for a page that is not there.
std::vector<int> page_nodes(const std::byte* address, Bytes bytes);
// The node that page `page` of an address space lies on when its memory is of these nodes: the only one, or
// all in turn.
int node_of_page(const std::vector<int>& nodes, std::uintptr_t page);
// Memory of one node, or of several, whose pages then alternate. Pages are touched and moved where they are
// elsewhere; take() throws DoesNotFit, naming node, wanted and free bytes, when a node has no room for them.
// nodes: not empty, ascending, each usable.
MemorySource node_memory(std::vector<int> nodes);

}  // namespace hybridgen
