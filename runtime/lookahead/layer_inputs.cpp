#include "core/driver/driver.hpp"
#include "runtime/calibrate/probe_rig.hpp"
#include "runtime/host/host_executor.hpp"
#include "runtime/lookahead/fit_predictor.hpp"

namespace hybridgen {
namespace {

constexpr Bytes kAmple = 1LL << 40;  // the operating system refuses what is too much

}  // namespace

std::vector<std::vector<float>> layer_inputs(const std::shared_ptr<const HostModel>& model,
                                             const std::vector<std::int32_t>& ids, int threads) {
  const ModelShape& shape = model->shape;
  std::vector<std::vector<float>> inputs(static_cast<std::size_t>(shape.layers));
  TokenFeed feed;
  feed.prompts.push_back(ids);
  feed.on_layer_input = [&inputs](int layer, std::span<const float> hidden) {
    inputs[static_cast<std::size_t>(layer)].assign(hidden.begin(), hidden.end());
  };
  const Machine machine = bare_local_machine({threads, 1}, kAmple);
  const WorkloadShape workload{1, static_cast<Tokens>(ids.size()), 1};
  Policy policy(find_preset("full-gpu")->composition, {machine, shape, KvDtype::f32, {}}, workload);
  HostExecutor executor(machine, model, policy.memory_plan(), std::move(feed), workload.most_new_tokens());
  Driver driver(machine, shape, workload, policy, executor);
  driver.run();
  return inputs;
}

}  // namespace hybridgen
