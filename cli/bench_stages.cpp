#include "cli/bench_stages.hpp"

#include <algorithm>
#include <filesystem>

#include "cli/bench_runs.hpp"
#include "runtime/cuda/bench/cuda_bench.hpp"
#include "study/bench_cases.hpp"

namespace hybridgen::cli {
namespace {

namespace fs = std::filesystem;

constexpr Tokens kSmallShapes = 300;   // find wrong edges
constexpr Tokens kLargeShapes = 4096;  // find wrong sums

Stage decode_stage(const std::shared_ptr<BenchRuns>& runs, Tokens context, double minutes) {
  const std::string name = "decode-" + std::to_string(context / 1024) + "k";
  return {name,
          "decode steps of Llama-3.1-8B's shape at " + std::to_string(context) + " tokens, every preset",
          minutes, [runs, context] { return runs->decode(context); }};
}

}  // namespace

std::vector<Stage> bench_stages(const BenchOptions& options) {
  const auto runs = std::make_shared<BenchRuns>(options);
  std::vector<Stage> stages = {
      {"correctness", "every kernel against fp64 and the host's kernels, over random small shapes", 0.5,
       [] { return cuda::measure_correctness(kSmallShapes); }},
      {"kernels", "each kernel in turn with the card's own streaming read", 1,
       [] { return cuda::measure_kernel_speed(); }},
      {"correctness-large", "the same over shapes of thousands of rows", 2,
       [] { return cuda::measure_correctness(kLargeShapes); }},
      {"copies", "copies by size and direction, by engine and by kernel; the host's own read", 1,
       [] { return cuda::measure_copies(); }},
      {"launches", "a launch, a replayed graph, a join by flags", 0.5,
       [] { return cuda::measure_launches(); }},
      {"tokens", "64 tokens of a model (--model: a real one), every preset, against the host executor", 3,
       [runs] { return runs->tokens(); }},
  };
  const std::vector<Tokens> contexts = decode_contexts();
  stages.push_back(decode_stage(runs, contexts.front(), 4));
  stages.push_back({"recorded", "whole runs whose records are kept: validation, and the hold-out", 6,
                    [runs] { return runs->recorded(); }});
  for (std::size_t i = 1; i < contexts.size(); ++i)
    stages.push_back(decode_stage(runs, contexts[i], contexts[i] > 65536 ? 6 : 3));
  stages.push_back({"gathers", "rows of pinned host memory, gathered by a kernel in place", 0.5,
                    [] { return cuda::measure_mapped_gathers(); }});
  stages.push_back({"energy", "watts and joules per byte by the driver's counter", 0.5,
                    [] { return cuda::measure_energy(); }});
  return stages;
}

std::vector<BenchResult> stored_results(const std::vector<Stage>& stages, const std::string& folder) {
  std::vector<BenchResult> results;
  for (const Stage& stage : stages) {
    const std::string path = (fs::path(folder) / (stage.name + ".json")).string();
    if (fs::exists(path)) results.push_back(read_bench_result(path));
  }
  return results;
}

}  // namespace hybridgen::cli
