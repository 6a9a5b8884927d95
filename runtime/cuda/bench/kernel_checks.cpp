#include "runtime/cuda/bench/kernel_checks.hpp"

#include <algorithm>
#include <atomic>
#include <future>

namespace hybridgen::cuda {

const std::vector<KernelCheck>& kernel_checks() {
  static const std::vector<KernelCheck> kChecks = [] {
    std::vector<KernelCheck> all = attention_checks();
    for (const auto& more : {row_checks(), layer_checks(), kept_checks(), choice_checks(), partial_checks()})
      all.insert(all.end(), more.begin(), more.end());
    return all;
  }();
  return kChecks;
}

std::vector<CheckShape> check_shapes(std::int64_t most_tokens, unsigned seed) {
  std::vector<CheckShape> shapes;
  for (const int group : {1, 3, 4, 5, 7, 8}) {
    for (const int dim : {64, 128}) {
      for (const kernels::KvType type : {kernels::KvType::f16, kernels::KvType::f32, kernels::KvType::bf16})
        shapes.push_back({group, dim, type, most_tokens, seed++});
    }
  }
  return shapes;
}

std::string text_of(const CheckShape& shape) {
  return "G=" + std::to_string(shape.group) + " dim=" + std::to_string(shape.head_dim) +
         (shape.kv_type == kernels::KvType::f16    ? " f16"
          : shape.kv_type == kernels::KvType::bf16 ? " bf16"
                                                   : " f32");
}

namespace {

struct CheckRun {
  const KernelCheck* check;
  const CheckShape* shape;
  CheckError error;
};

// Most of a check is the reference on the CPU, and no check knows of another.
void run_side_by_side(std::vector<CheckRun>& runs, int threads) {
  std::atomic<std::size_t> next{0};
  std::vector<std::future<void>> workers;
  for (int i = 0; i < threads; ++i) {
    workers.push_back(std::async(std::launch::async, [&] {
      for (std::size_t at = next++; at < runs.size(); at = next++)
        runs[at].error = runs[at].check->run(*runs[at].shape);
    }));
  }
  for (auto& worker : workers) worker.wait();
  for (auto& worker : workers) worker.get();
}

}  // namespace

std::vector<Measurement> run_checks(const std::vector<KernelCheck>& checks,
                                    const std::vector<CheckShape>& shapes, int threads) {
  std::vector<CheckRun> runs;
  for (const KernelCheck& check : checks) {
    for (const CheckShape& shape : shapes) {
      if (!check.takes(shape)) continue;
      runs.push_back({&check, &shape, {}});
      if (!check.by_heads) break;
    }
  }
  run_side_by_side(runs, threads);
  std::vector<Measurement> figures;
  for (const auto& [check, shape, error] : runs) {
    const std::string condition = std::string(check->what) + ", " + text_of(*shape) + ", seed " +
                                  std::to_string(shape->seed) + ", up to " +
                                  std::to_string(shape->most_tokens) + " tokens";
    figures.push_back({check->kernel, condition, "error", "1", error.fp64, 0, check->bound});
    if (error.host)
      figures.push_back(
          {check->kernel, condition, "difference to the host's kernel", "1", *error.host, 0, check->bound});
  }
  return figures;
}

}  // namespace hybridgen::cuda
