// The file that hybridgen fit-locality writes and `outcomes: {source: locality}` reads.
#pragma once

#include <string>
#include <vector>

#include "core/machine/locality.hpp"

namespace hybridgen {

// A run that was fitted on, for people: nothing is computed from it.
struct LocalitySource {
  std::string run;       // the name of its folder
  std::string text;      // the name of its prompt file
  std::string policy;    // "select: top-k, topk_ratio 0.05, select_by kv-group"
  std::string requests;  // "3 of 1024 to 3072 prompt tokens, 144 decode steps"
  std::string commit;    // of the program that ran it
};

// Throws BadInput with all faults of the file, each with its place, key and remedy.
Locality read_locality(const std::string& path);
// Reading the text again gives an equal fit.
std::string locality_yaml(const Locality& fit, const std::vector<LocalitySource>& sources,
                          const std::string& commit);

}  // namespace hybridgen
