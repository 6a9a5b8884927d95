// The stages of bench-machine, wired: what the CUDA room measures, what study lists, where results lie.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "study/card_platform.hpp"
#include "study/stage_run.hpp"

namespace hybridgen::cli {

struct BenchOptions {
  std::string out;                   // folder of the results
  std::string model;                 // a model's name or folder, for tokens of real weights; none: made-up
  std::vector<std::string> systems;  // of decode and recorded runs; none: all
  std::function<void(const std::string&)> line = [](const std::string&) {};  // takes progress
};

// Most valuable first. Asks nothing of a card before a stage is carried out.
std::vector<Stage> bench_stages(const BenchOptions& options);

// Results of the folder that are there, in the stages' order.
std::vector<BenchResult> stored_results(const std::vector<Stage>& stages, const std::string& folder);

}  // namespace hybridgen::cli
