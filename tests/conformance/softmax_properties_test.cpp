// Properties of the real run over random heads, lengths, splits, placements and batches, seen from outside:
// with V rows that are all alike the attention is that row, whichever rows are chosen, if and only if the
// weights of the joint softmax sum to 1; with every row chosen it is the attention of the device alone, if
// and only if each token is attended to once.
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <ostream>

#include "tests/support/host_world.hpp"

namespace hybridgen::testing {
namespace {

struct Case {
  ModelShape shape;
  PolicyChoice choice;
  WorkloadShape workload;
  std::uint32_t seed = 0;
};

std::ostream& operator<<(std::ostream& out, const Case& c) {
  out << c.choice.preset << " heads " << c.shape.query_heads << "/" << c.shape.kv_heads << " batch "
      << c.workload.batch << " seed " << c.seed;
  for (const RequestShape& each : c.workload.requests)
    out << " " << each.prompt_tokens << "+" << each.new_tokens;
  for (const auto& [slot, part] : c.choice.parts) out << " " << slot << "=" << part;
  for (const auto& [name, value] : c.choice.params) out << " " << name << "=" << value;
  return out;
}

int pick(int least, int most) {
  return *rc::gen::inRange(least, most + 1);
}

Case any_case() {
  Case c;
  c.shape = tiny_shape();
  c.shape.layers = pick(1, 2);
  c.shape.kv_heads = pick(1, 3);
  c.shape.query_heads = c.shape.kv_heads * pick(1, 5);
  std::vector<RequestShape> requests;
  for (int i = pick(1, 4); i > 0; --i) requests.push_back({pick(1, 60), pick(1, 8)});
  c.workload = {std::move(requests), pick(1, 4), false};
  c.choice.preset = *rc::gen::element<std::string>("hybridgen", "hybridgen", "flexgen-cpu-attention");
  c.choice.parts["placement"] =
      *rc::gen::element<std::string>("unified", "semantic", "tier-order", "k-in-cxl", "interleave");
  c.choice.parts["split"] = "fixed";
  c.choice.params["device_kv_tokens"] = pick(1, 70);
  if (c.choice.preset == "hybridgen") c.choice.params["sink_tokens"] = pick(0, 4);
  c.choice.kv_dtype = KvDtype::f32;
  c.seed = static_cast<std::uint32_t>(pick(0, 1'000'000));
  return c;
}

void select_some(Case& c) {
  if (c.choice.preset != "hybridgen") return;
  c.choice.parts["select"] = *rc::gen::element<std::string>("top-k", "threshold", "all");
  c.choice.params["select_by"] = pick(0, c.choice.parts["select"] == "top-k" ? 2 : 1);
  c.choice.parts["lookahead"] = *rc::gen::element<std::string>("off", "choose");
  c.choice.params["lookahead_predictor"] = 0;
  c.choice.params["scan_cap"] = *rc::gen::element(0, 1, 7, 30);
  c.choice.params["topk_ratio"] = c.choice.params["max_rows_ratio"] = *rc::gen::inRange<Ppm>(0, kPpmOne + 1);
}

// Every V row of every token is all ones.
std::shared_ptr<const HostModel> model_with_v_of_ones(const ModelShape& shape) {
  auto model = std::make_shared<HostModel>();
  auto memory = std::make_shared<TierMemory>("weights");
  model->shape = shape;
  model->weights = dummy_weights(shape, 7, [&](Bytes bytes) { return memory->allocate(bytes); });
  auto* bias = memory->array<float>(shape.qkv_width());
  std::fill_n(bias, shape.qkv_width(), 0.0F);
  std::fill_n(bias + shape.q_width() + shape.kv_width(), shape.kv_width(), 1.0F);
  for (LayerWeights& layer : model->weights.layers) {
    auto* v =
        const_cast<kernels::Half*>(layer.qkv.matrix) + (shape.q_width() + shape.kv_width()) * shape.hidden;
    std::fill_n(v, shape.kv_width() * shape.hidden, kernels::Half{0});
    layer.qkv.bias = bias;
  }
  model->memory = memory;
  return model;
}

HostRun run(const Case& c, std::shared_ptr<const HostModel> model, const PolicyChoice& choice) {
  static const Machine machine = host_machine(1, true);
  TokenFeed feed;
  for (std::size_t i = 0; i < c.workload.requests.size(); ++i) {
    const RequestShape& each = c.workload.requests[i];
    const std::uint32_t seed = c.seed + static_cast<std::uint32_t>(i);
    feed.prompts.push_back(prompt_of(static_cast<int>(each.prompt_tokens), c.shape.vocab, seed));
    feed.forced.push_back(prompt_of(static_cast<int>(each.new_tokens), c.shape.vocab, seed + 50));
  }
  return run_on_host(machine, std::move(model), choice, c.workload, std::move(feed));
}

void assert_like_full_gpu(const Case& c, const std::shared_ptr<const HostModel>& model) {
  const HostRun full = run(c, model, {"full-gpu", {}, {}, KvDtype::f32});
  const HostRun split = run(c, model, c.choice);
  for (std::size_t request = 0; request < full.logits.size(); ++request) {
    RC_ASSERT(split.logits[request].size() == full.logits[request].size());
    for (const auto& [position, logits] : full.logits[request]) {
      const std::vector<float>& other = split.logits[request].at(position);
      for (std::size_t i = 0; i < logits.size(); ++i) RC_ASSERT(std::abs(logits[i] - other[i]) < 1e-3F);
    }
  }
}

RC_GTEST_PROP(JointSoftmax, AnySelection_weightsSumToOne, ()) {
  Case c = any_case();
  select_some(c);
  RC_LOG() << c;
  assert_like_full_gpu(c, model_with_v_of_ones(c.shape));
}

RC_GTEST_PROP(JointSoftmax, EveryRowSelected_eachTokenIsAttendedOnce, ()) {
  Case c = any_case();
  if (c.choice.preset == "hybridgen") {
    c.choice.parts["select"] = *rc::gen::element<std::string>("top-k", "all");
    c.choice.params["select_by"] = pick(0, c.choice.parts["select"] == "top-k" ? 2 : 1);
    c.choice.params["topk_ratio"] = kPpmOne;
  }
  RC_LOG() << c;
  assert_like_full_gpu(c, model_of(c.shape));
}

}  // namespace
}  // namespace hybridgen::testing
