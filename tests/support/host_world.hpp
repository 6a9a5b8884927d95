// A machine that every test host can play (device and host lanes of one thread each), a tiny model with dummy
// weights, and a run of a policy on them that keeps the logits of every step.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/driver/driver.hpp"
#include "runtime/host/host_executor.hpp"
#include "runtime/host/tier_memory.hpp"
#include "runtime/weights/predictor_weights.hpp"

namespace hybridgen::testing {

inline Machine host_machine(int threads = 1, bool cxl = false, Bytes dram_bytes = 8LL << 30,
                            double cxl_bytes_per_s = 10e9) {
  Machine machine("test-host");
  const ChannelId dram = machine.add_channel("dram", ChannelKind::memory, 30e9);
  const ChannelId up = machine.add_channel("h2d", ChannelKind::link, 10e9);
  const ChannelId down = machine.add_channel("d2h", ChannelKind::link, 10e9);
  const ChannelId far = machine.add_channel("cxl", ChannelKind::memory, cxl_bytes_per_s);
  std::vector<TierId> host_tiers = {machine.add_tier("device", TierKind::hbm, 8LL << 30, dram)};
  const TierId device = host_tiers.front();
  host_tiers = {machine.add_tier("dram", TierKind::dram, dram_bytes, dram)};
  if (cxl) {
    host_tiers.push_back(machine.add_tier("cxl", TierKind::cxl, 8LL << 30, far, true));
    host_tiers.push_back(machine.add_tier("both", TierKind::interleaved, 16LL << 30, far, true));
    machine.set_interleaved(host_tiers[2], {host_tiers[0], host_tiers[1]});
  }
  ProcessorCosts costs;
  for (KernelCost& cost : costs.kernels) cost = {1000, 10e9, 50e9, 1e9, 20};
  const ProcessorId player = machine.add_processor("device", ProcessorKind::host_device, costs);
  const ProcessorId cpu = machine.add_processor("host", ProcessorKind::cpu, costs);
  machine.set_access_links(player, device, {});
  for (const TierId tier : host_tiers) {
    machine.set_access_links(cpu, tier, {});
    machine.set_copy_links(device, tier, {down});
    machine.set_copy_links(tier, device, {up});
  }
  const LaneId device_lane = machine.add_lane("device", player, threads, 0);
  const LaneId host_lane = machine.add_lane("host", cpu, threads, threads);
  machine.set_role(Role::device, device_lane);
  for (const Role role : {Role::host, Role::h2d, Role::d2h}) machine.set_role(role, host_lane);
  machine.set_copy_cost(Role::h2d, {1000, 8e9});
  machine.set_copy_cost(Role::d2h, {1000, 8e9});
  return machine;
}

inline ModelShape tiny_shape(ModelFamily family = ModelFamily::llama) {
  ModelShape shape;
  shape.name = "tiny";
  shape.layers = 3;
  shape.hidden = 96;
  shape.query_heads = 6;
  shape.kv_heads = 2;
  shape.head_dim = 16;
  shape.ffn = 160;
  shape.vocab = 200;
  shape.max_context = 512;
  shape.rope_theta = 10000;
  shape.norm_eps = 1e-5;
  shape.tied_embeddings = true;
  shape.blocks = blocks_of(family);
  return shape;
}

// Dummy weights, and a dummy predictor of queries where the shape has one.
inline std::shared_ptr<const HostModel> model_of(const ModelShape& shape, std::uint64_t seed = 7) {
  auto model = std::make_shared<HostModel>();
  model->shape = shape;
  auto memory = std::make_shared<TierMemory>("weights");
  const auto allocate = [&](Bytes bytes) { return memory->allocate(bytes); };
  model->weights = dummy_weights(shape, seed, allocate);
  if (shape.predictor.present()) dummy_predictor(seed + 1, allocate, model->weights);
  model->memory = memory;
  return model;
}

inline std::shared_ptr<const HostModel> tiny_model(std::uint64_t seed = 7,
                                                   ModelFamily family = ModelFamily::llama) {
  return model_of(tiny_shape(family), seed);
}

struct PolicyChoice {
  std::string preset = "full-gpu";
  std::map<std::string, std::int64_t> params;
  std::map<std::string, std::string> parts;  // slot to choice, over the preset's
  KvDtype kv_dtype = KvDtype::f16;
};

inline Composition composition_of(const PolicyChoice& choice) {
  Composition composition = find_preset(choice.preset)->composition;
  for (const auto& [slot, name] : choice.parts) *composition.choice(slot) = name;
  return composition;
}

inline Params params_for(const PolicyChoice& choice) {
  Params params;
  for (const ParamSpec& spec : params_of(composition_of(choice))) {
    if (spec.otherwise) params.set(spec.name, *spec.otherwise);
  }
  for (const auto& [name, value] : choice.params) params.set(name, value);
  return params;
}

using LogitsByPosition = std::map<Tokens, std::vector<float>>;

struct HostRun {
  Timeline timeline;
  std::vector<std::vector<std::int32_t>> tokens;  // by request
  std::vector<LogitsByPosition> logits;           // by request
  std::vector<std::string> warnings;              // of the executor
};

// Over all positions, which both have to have.
inline float largest_difference(const LogitsByPosition& a, const LogitsByPosition& b) {
  EXPECT_EQ(a.size(), b.size());
  float largest = 0;
  for (const auto& [position, logits] : a) {
    const std::vector<float>& other = b.at(position);
    for (std::size_t i = 0; i < logits.size(); ++i) {
      largest = std::max(largest, std::abs(logits[i] - other[i]));
    }
  }
  return largest;
}

inline float largest_difference(const HostRun& a, const HostRun& b) {
  EXPECT_EQ(a.logits.size(), b.logits.size());
  float largest = 0;
  for (std::size_t request = 0; request < a.logits.size(); ++request) {
    largest = std::max(largest, largest_difference(a.logits[request], b.logits.at(request)));
  }
  return largest;
}

// make(plan, feed) gives the executor.
template <class Make>
HostRun run_policy(const Machine& machine, const ModelShape& shape, const PolicyChoice& choice,
                   const WorkloadShape& workload, TokenFeed feed, const Make& make) {
  HostRun run;
  run.logits.resize(feed.prompts.size());
  feed.on_logits = [&run](RequestId request, Tokens position, std::span<const float> logits) {
    run.logits[request.index()][position].assign(logits.begin(), logits.end());
  };
  Policy policy(composition_of(choice), {machine, shape, choice.kv_dtype, params_for(choice)}, workload);
  const std::unique_ptr<RealExecutor> executor = make(policy.memory_plan(), std::move(feed));
  Driver driver(machine, shape, workload, policy, *executor);
  run.timeline = driver.run();
  for (const RequestView& request : driver.requests()) run.tokens.push_back(executor->tokens(request.id));
  run.warnings = executor->warnings();
  return run;
}

inline HostRun run_on_host(const Machine& machine, std::shared_ptr<const HostModel> model,
                           const PolicyChoice& choice, const WorkloadShape& workload, TokenFeed feed) {
  return run_policy(machine, model->shape, choice, workload, std::move(feed),
                    [&](const MemoryPlan& plan, TokenFeed given) {
                      return std::make_unique<HostExecutor>(machine, model, plan, std::move(given),
                                                            workload.most_new_tokens());
                    });
}

// A prompt of pseudo-random ids, the same for equal seed.
inline std::vector<std::int32_t> prompt_of(int tokens, int vocab, std::uint32_t seed) {
  std::vector<std::int32_t> ids;
  for (int i = 0; i < tokens; ++i) {
    seed = seed * 1664525U + 1013904223U;
    ids.push_back(static_cast<std::int32_t>((seed >> 8) % static_cast<std::uint32_t>(vocab)));
  }
  return ids;
}

}  // namespace hybridgen::testing
