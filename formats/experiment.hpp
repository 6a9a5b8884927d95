// An experiment as checked values: what configs/*.yaml says, fully resolved against the registry.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/policy/parts.hpp"
#include "core/policy/registry.hpp"

namespace hybridgen {

// Where the simulator's outcomes come from; written into every result.
enum class OutcomeSourceKind { fixed, recorded, seeded, locality };
const char* name_of(OutcomeSourceKind kind);

// Where a real run's weights come from: the model's files, or made up from the seed, for timing.
enum class WeightSource { files, dummy };
const char* name_of(WeightSource source);

// One request of workload.requests.
struct RequestEntry {
  RequestShape shape;
  std::int64_t prompt_start = 0;  // the first token of the prompt in the prompt file
  friend bool operator==(const RequestEntry&, const RequestEntry&) = default;
};

struct Experiment {
  std::string path;      // of the file; empty when made in memory
  std::string platform;  // a name under platform-models/ or a path
  std::string model;     // a name under models/ or configs/models/, or a path
  WeightSource weights = WeightSource::files;
  std::string prompt_file;             // text, or token ids as little-endian int32 (*.ids)
  Tokens prompt_tokens = 0;            // of each request; 0 where they are listed
  Tokens new_tokens = 0;               // the same
  int batch = 1;                       // requests in flight at once
  std::vector<RequestEntry> requests;  // workload.requests; empty: `batch` equal ones
  bool stop_at_end_of_sequence = false;
  Composition composition;
  KvDtype kv_dtype = KvDtype::f16;
  Params params;
  OutcomeSourceKind outcomes = OutcomeSourceKind::seeded;
  std::string outcomes_from;  // `recorded`: a result folder; `locality`: a file of `hybridgen fit-locality`
  std::int64_t seed = 0;
  int repeat = 1;
  // Simulation only: the model's shape is taken to go up to at least so many tokens. 0: as published.
  Tokens assume_max_context = 0;
  // Where keys were written whose values only other files can judge: "file:line:column: key".
  std::map<std::string, std::string> places;

  // Every request with its stretch of the prompt file: the listed ones, or `batch` equal ones behind each
  // other.
  std::vector<RequestEntry> all_requests() const;
  WorkloadShape workload() const;
};

// `--set key.path=value`, or `--unset key.path`: the key is taken out.
struct Override {
  std::string key;
  std::optional<std::string> value;  // none: unset
};
using Overrides = std::vector<Override>;  // in the order given

// Reads and checks the file; throws BadInput with all errors, one line each: file:line:col: key: what;
// remedy. Unknown keys and names offer the nearest valid one. Overrides are reported as --set key=value
// or --unset key instead of a line.
Experiment load_experiment(const std::string& path, const Overrides& overrides = {});
// Every key with its resolved value; loading it again gives the same experiment.
std::string to_yaml(const Experiment& experiment);

}  // namespace hybridgen
