// DIR/card.yaml of bench-machine: the card as a platform, from the results that lie in the folder.
#pragma once

#include <string>

#include "cli/bench_stages.hpp"
#include "study/card_platform.hpp"

namespace hybridgen::cli {

std::string card_file(const BenchOptions& options);

// From the folder's results: micro-benchmarks, then what decode runs say of each op kind. NotAvailable,
// naming the stage, where one is missing.
void write_card_file(const BenchOptions& options, const CardFacts& facts);

// The same from the results alone, on a machine without a card: what is known without measuring is taken from
// the card.yaml that is there.
void rewrite_card_file(const BenchOptions& options);

}  // namespace hybridgen::cli
