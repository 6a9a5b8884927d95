// The card's memory: the CPU faults when it touches it, but where a CardMemoryOpen lives.
#pragma once

#include <cstddef>

namespace hybridgen::simt {

// Null when the card is full.
void* take_card_memory(std::size_t bytes);
void give_card_memory(void* address);

class CardMemoryOpen {
 public:
  CardMemoryOpen();
  ~CardMemoryOpen();
  CardMemoryOpen(const CardMemoryOpen&) = delete;
  CardMemoryOpen& operator=(const CardMemoryOpen&) = delete;
};

}  // namespace hybridgen::simt
