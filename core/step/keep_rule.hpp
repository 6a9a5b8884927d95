// Which of a request's tokens stay on the device when not all may: the parameters of the rules sink_window,
// heavy_hitter and observation_window. How many stay is a policy's count; which ones, per KV head, is found
// out by the executor.
#pragma once

#include <cstdint>

#include "core/base/units.hpp"

namespace hybridgen {

enum class Pooling { max, mean };

// What becomes of generated tokens under observation_window.
enum class Generated {
  keep,   // all stay, on top of the budget
  bound,  // the budget holds: chosen prompt rows go first, the least mass first, then the oldest row
  slide,  // the budget holds: chosen prompt rows stay, the oldest of the others goes
};

struct KeepRule {
  Tokens sinks = 0;      // sink_window: first tokens that always stay
  bool reindex = false;  // sink_window: positions count inside the cache
  Tokens recent = 0;     // heavy_hitter: newest tokens, before the new one, that always stay
  Tokens window = 0;     // observation_window: last queries of the prompt
  Tokens kernel = 1;     // observation_window: tokens over which mass is pooled, odd
  Pooling pooling = Pooling::max;
  Generated generated = Generated::keep;
};

}  // namespace hybridgen
