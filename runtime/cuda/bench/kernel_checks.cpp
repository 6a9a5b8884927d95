#include "runtime/cuda/bench/kernel_checks.hpp"

#include <algorithm>

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

std::vector<Measurement> run_checks(const std::vector<KernelCheck>& checks,
                                    const std::vector<CheckShape>& shapes) {
  std::vector<Measurement> figures;
  for (const KernelCheck& check : checks) {
    for (const CheckShape& shape : shapes) {
      if (!check.takes(shape)) continue;
      const CheckError error = check.run(shape);
      const std::string condition = std::string(check.what) + ", " + text_of(shape) + ", seed " +
                                    std::to_string(shape.seed) + ", up to " +
                                    std::to_string(shape.most_tokens) + " tokens";
      figures.push_back({check.kernel, condition, "error", "1", error.fp64, 0, check.bound});
      if (error.host)
        figures.push_back(
            {check.kernel, condition, "difference to the host's kernel", "1", *error.host, 0, check.bound});
      if (!check.by_heads) break;
    }
  }
  return figures;
}

}  // namespace hybridgen::cuda
