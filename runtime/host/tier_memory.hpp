// The memory of one tier on this machine: every buffer of a run is taken here before the run starts.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/units.hpp"

namespace hybridgen {

// Where a tier's memory comes from. A tier may be memory that the CPU cannot touch: nobody dereferences it
// then.
struct MemorySource {
  std::string giver;                      // who refuses, for the message
  std::function<std::byte*(Bytes)> take;  // zeroed, aligned to TierMemory::kAlignment; null: refused
  std::function<void(std::byte*, Bytes)> give_back;
};
// Pages of the operating system, touched, so that no page fault falls into a timed step.
MemorySource system_memory();

class TierMemory {
 public:
  explicit TierMemory(std::string name, MemorySource source = system_memory())
      : name_(std::move(name)), source_(std::move(source)) {}
  TierMemory(TierMemory&&) = default;
  ~TierMemory();

  // NotAvailable when the source refuses.
  std::byte* allocate(Bytes bytes);
  template <class T>
  T* array(std::int64_t count) {
    return reinterpret_cast<T*>(allocate(count * static_cast<Bytes>(sizeof(T))));
  }
  Bytes allocated() const { return allocated_; }

  struct Block {
    std::byte* address;
    Bytes bytes;
  };
  const std::vector<Block>& blocks() const { return blocks_; }

  static constexpr Bytes kAlignment = 64;

 private:
  std::string name_;
  MemorySource source_;
  std::vector<Block> blocks_;
  Bytes allocated_ = 0;
};

}  // namespace hybridgen
