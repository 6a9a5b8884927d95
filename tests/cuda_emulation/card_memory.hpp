// The card's memory: the CPU faults when it touches it, but where a CardMemoryOpen lives.
#pragma once

#include <cstddef>

namespace hybridgen::simt {

// Null when the card is full.
void* take_card_memory(std::size_t bytes);
bool is_card_memory(const void* address);
// One of those taken; the last one frees all.
void give_card_memory();

class CardMemoryOpen {
 public:
  CardMemoryOpen();
  ~CardMemoryOpen();
  CardMemoryOpen(const CardMemoryOpen&) = delete;
  CardMemoryOpen& operator=(const CardMemoryOpen&) = delete;
};

}  // namespace hybridgen::simt
