// A machine with a GPU as bench-machine found it: a platform file whose figures are micro-benchmarks only.
#pragma once

#include <string>
#include <vector>

#include "formats/bench_result.hpp"
#include "formats/platform_description.hpp"

namespace hybridgen {

// What is known without measuring.
struct CardFacts {
  std::string card;
  Bytes card_memory = 0;  // that a run may take
  Bytes host_memory = 0;
  int host_threads = 1;  // of the CPU lane, from core 1 on: core 0 drives the card
};

// From the results of the stages kernels, copies and launches; a key that they do not give is one fixed cost
// or no limit, and its source says so. NotAvailable, naming the stage, where one of them is missing.
PlatformDescription card_platform(const CardFacts& facts, const std::vector<BenchResult>& results);

}  // namespace hybridgen
