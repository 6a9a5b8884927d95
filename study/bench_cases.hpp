// Which runs of which policies bench-machine makes on a card. Listed here before anything is measured:
// nothing is fitted on the hold-out.
#pragma once

#include <string>
#include <vector>

#include "core/policy/registry.hpp"
#include "formats/experiment.hpp"

namespace hybridgen {

// Every parameter of the composition: `values` by key, as stored; else the declared default; else 1,024
// tokens on the device and a ratio of 0.05, what the paper's figures use. Our bug where a key has none of
// them.
Params bench_params(const Composition& composition, const std::map<std::string, std::int64_t>& values = {});

// What decodes at every context: each preset, and HybridGen one layer ahead, by query head, by KV group and
// by its best.
struct DecodeCase {
  std::string name;
  Composition composition;
  Params params;
};
std::vector<DecodeCase> decode_cases();

// Contexts at which they decode, most telling first.
std::vector<Tokens> decode_contexts();

// Whole runs, prompt and all, whose records are kept: for a forced simulation to be held against.
struct RecordedCase {
  std::string name;  // of its result folder
  bool hold_out = false;
  Experiment experiment;  // without a platform
};
std::vector<RecordedCase> recorded_cases(const std::string& model);

}  // namespace hybridgen
