// What one stage of `hybridgen bench-machine` leaves behind: a JSON file of a few kilobytes.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/machine/measurement.hpp"

namespace hybridgen {

struct BenchResult {
  std::string stage;
  std::string card;    // "NVIDIA H200 (sm_90)"
  std::string commit;  // of the program that measured
  std::string date;    // UTC, 2026-11-24
  double seconds = 0;
  // Source hash by kernel, of the program that measured: what a ledger may conclude from the figures.
  std::map<std::string, std::string> kernels;
  std::vector<Measurement> figures;
};

inline constexpr int kBenchFormat = 1;  // grows when a reader would misread a newer file

std::string to_json(const BenchResult& result);
// Throws BadInput naming the file when it is missing, is no such file, or is of another format.
BenchResult read_bench_result(const std::string& path);

}  // namespace hybridgen
