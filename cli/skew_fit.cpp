#include "cli/skew_fit.hpp"

#include "core/driver/driver.hpp"
#include "runtime/calibrate/probe_rig.hpp"
#include "runtime/host/cores.hpp"
#include "runtime/host/host_executor.hpp"
#include "study/skew.hpp"

namespace hybridgen::cli {

std::vector<float> fit_skew(const std::shared_ptr<const HostModel>& model,
                            const std::vector<std::int32_t>& ids) {
  const ModelShape& shape = model->shape;
  std::vector<SkewFit> fits(static_cast<std::size_t>(shape.layers * shape.kv_heads), SkewFit(shape.head_dim));
  const auto tokens = static_cast<Tokens>(ids.size());
  const WorkloadShape workload{1, tokens, 1, false};
  const Machine machine = bare_local_machine({usable_cores(), 1}, usable_memory());
  Policy policy(find_preset("full-gpu")->composition, {machine, shape, KvDtype::f16, {}}, workload);
  TokenFeed feed;
  feed.prompts = {ids};
  feed.on_queries = [&](int layer, const float* queries, std::int64_t stride, Tokens count) {
    for (Tokens t = 0; t < count; ++t) {
      for (int head = 0; head < shape.query_heads; ++head) {
        const int at = layer * shape.kv_heads + head / shape.group();
        fits[static_cast<std::size_t>(at)].add(queries + t * stride + head * shape.head_dim);
      }
    }
  };
  HostExecutor executor(machine, model, policy.memory_plan(), std::move(feed), 1);
  Driver(machine, shape, workload, policy, executor).run();
  std::vector<float> skew;
  for (const SkewFit& each : fits) {
    const std::vector<float> columns = each.columns();
    skew.insert(skew.end(), columns.begin(), columns.end());
  }
  return skew;
}

}  // namespace hybridgen::cli
