#include "runtime/host/cores.hpp"

#include <hwloc.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

namespace hybridgen {
namespace {

// Loaded once; hwloc's topology is read only afterwards and may be used by every thread.
hwloc_topology_t topology() {
  struct Loaded {
    hwloc_topology_t handle = nullptr;
    Loaded() {
      hwloc_topology_init(&handle);
      hwloc_topology_load(handle);
    }
    ~Loaded() { hwloc_topology_destroy(handle); }
  };
  static const Loaded kLoaded;
  return kLoaded.handle;
}

hwloc_obj_t core_object(int core) {
  return hwloc_get_obj_by_type(topology(), HWLOC_OBJ_CORE, static_cast<unsigned>(core % usable_cores()));
}

}  // namespace

int usable_cores() {
  return std::max(1, hwloc_get_nbobjs_by_type(topology(), HWLOC_OBJ_CORE));
}

Bytes usable_memory() {
  // The kernel's figure, too: where a hypervisor hands memory out as it is touched, a NUMA node, which hwloc
  // adds up, holds no more than has been touched so far.
  const auto by_node = static_cast<Bytes>(hwloc_get_root_obj(topology())->total_memory);
  return std::max(by_node, static_cast<Bytes>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE));
}

Bytes last_cache_bytes() {
  Bytes largest = 0;
  for (hwloc_obj_t object = core_object(0); object != nullptr; object = object->parent) {
    if (hwloc_obj_type_is_cache(object->type) != 0) {
      largest = std::max(largest, static_cast<Bytes>(object->attr->cache.size));
    }
  }
  return largest;
}

int node_of_core(int core) {
  const hwloc_obj_t object = core_object(core);
  if (object == nullptr || object->nodeset == nullptr) return -1;
  return hwloc_bitmap_first(object->nodeset);
}

bool pin_to_core(int core) {
  const hwloc_obj_t object = core_object(core);
  if (object == nullptr) return false;
  const std::unique_ptr<hwloc_bitmap_s, decltype(&hwloc_bitmap_free)> one(hwloc_bitmap_dup(object->cpuset),
                                                                          &hwloc_bitmap_free);
  hwloc_bitmap_singlify(one.get());
  return hwloc_set_cpubind(topology(), one.get(), HWLOC_CPUBIND_THREAD) == 0;
}

OffCores::OffCores(int first, int count) {
  hwloc_bitmap_t before = hwloc_bitmap_alloc();
  const std::unique_ptr<hwloc_bitmap_s, decltype(&hwloc_bitmap_free)> others(hwloc_bitmap_alloc(),
                                                                             &hwloc_bitmap_free);
  if (hwloc_get_cpubind(topology(), before, HWLOC_CPUBIND_THREAD) == 0) {
    hwloc_bitmap_copy(others.get(), before);
    for (int core = first; core < first + count; ++core) {
      if (const hwloc_obj_t object = core_object(core); object != nullptr)
        hwloc_bitmap_andnot(others.get(), others.get(), object->cpuset);
    }
    if (hwloc_bitmap_iszero(others.get()) == 0 &&
        hwloc_set_cpubind(topology(), others.get(), HWLOC_CPUBIND_THREAD) == 0)
      before_ = before;
  }
  if (before_ == nullptr) hwloc_bitmap_free(before);
}

OffCores::~OffCores() {
  if (before_ == nullptr) return;
  hwloc_set_cpubind(topology(), before_, HWLOC_CPUBIND_THREAD);
  hwloc_bitmap_free(before_);
}

}  // namespace hybridgen
