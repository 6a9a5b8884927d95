// The whole CUDA executor on an emulated card: what it says must be what the host executor says, whatever
// order the card's work runs in, launched kernel by kernel and replayed from graphs.
#include "runtime/cuda/cuda_executor.hpp"

#include <gtest/gtest.h>

#include "runtime/calibrate/decode_bench.hpp"
#include "runtime/cuda/bench/card_machine.hpp"
#include "tests/cuda_emulation/card.hpp"
#include "tests/support/host_world.hpp"

namespace hybridgen::testing {
namespace {

constexpr int kVocab = 200;

// Small, but with a head dim that the kernels take.
ModelShape card_shape(ModelFamily family) {
  ModelShape shape = tiny_shape(family);
  shape.layers = 3;
  shape.head_dim = 64;
  return shape;
}

TokenFeed feed_of(int prompt, int new_tokens, int batch) {
  TokenFeed feed;
  for (int i = 0; i < batch; ++i) {
    const auto seed = static_cast<std::uint32_t>(i);
    feed.prompts.push_back(prompt_of(prompt + 3 * i, kVocab, 11 + seed));
    feed.forced.push_back(prompt_of(new_tokens, kVocab, 99 + seed));
  }
  return feed;
}

// The same model with random skews, as one was fitted.
std::shared_ptr<const HostModel> skewed(const HostModel& model) {
  auto copy = std::make_shared<HostModel>(model);
  auto skews = std::make_shared<std::vector<float>>();
  const std::int64_t of_layer = model.shape.kv_width() * model.shape.head_dim;
  for (const std::int32_t id : prompt_of(static_cast<int>(model.shape.layers * of_layer), 1000, 3)) {
    skews->push_back(static_cast<float>(id) / 1000.0F - 0.5F);
  }
  for (std::size_t i = 0; i < copy->weights.layers.size(); ++i) {
    copy->weights.layers[i].skew = skews->data() + static_cast<std::int64_t>(i) * of_layer;
  }
  copy->memory =
      std::make_shared<std::pair<std::shared_ptr<void>, std::shared_ptr<void>>>(model.memory, skews);
  return copy;
}

DecodeBench decode_of(const PresetEntry& preset) {
  DecodeBench bench;
  bench.name = preset.name;
  bench.composition = preset.composition;
  bench.params = params_for({preset.name,
                             {{"device_kv_tokens", 9},
                              {"topk_ratio", 300'000},
                              {"budget_tokens", 40},
                              {"page_tokens", 4},
                              {"whole_layers", 1}},
                             {},
                             KvDtype::f16});
  bench.context = 60;
  bench.warm_up_steps = 1;
  bench.steps = 3;
  return bench;
}

double figure(const std::vector<Measurement>& figures, const std::string& quantity) {
  for (const Measurement& each : figures) {
    if (each.quantity == quantity) return each.value;
  }
  ADD_FAILURE() << "no figure of " << quantity;
  return 0;
}

class CardExecutor : public ::testing::Test {
 protected:
  void expect_host_results(const PolicyChoice& choice, ModelFamily family = ModelFamily::llama,
                           int predictor_rank = 0) {
    ModelShape shape = card_shape(family);
    shape.predictor.rank = predictor_rank;
    expect_host_results(choice, model_of(shape));
  }

  void expect_host_results(const PolicyChoice& choice, const std::shared_ptr<const HostModel>& model) {
    constexpr int kPrompt = 37, kNewTokens = 14, kBatch = 2;
    std::vector<RequestShape> requests;
    for (int i = 0; i < kBatch; ++i) requests.push_back({kPrompt + 3 * i, kNewTokens});
    const WorkloadShape workload{requests, kBatch, false};
    const TokenFeed feed = feed_of(kPrompt, kNewTokens, kBatch);
    const HostRun host = run_on_host(host_machine(), model, choice, workload, feed);
    for (const bool graphs : {false, true}) {
      simt::set_card_seed(graphs ? 3 : 5);
      CudaOptions options;
      options.graphs = graphs;
      const HostRun card = run_policy(
          machine_, model->shape, choice, workload, feed, [&](const MemoryPlan& plan, TokenFeed given) {
            return make_cuda_executor(machine_, model, plan, std::move(given), kNewTokens, options);
          });
      EXPECT_LT(largest_difference(host, card), bound(choice.kv_dtype)) << (graphs ? "graphs" : "launches");
      EXPECT_EQ(host.tokens, card.tokens);
      expect_equal_work(host, card);
      for (const std::string& warning : card.warnings) {
        EXPECT_EQ(warning.find("allocations"), std::string::npos) << warning;
      }
    }
  }

  Machine machine_ = cuda::bare_card_machine(8LL << 30, 8LL << 30, 1);

 private:
  // fp32 sums in another order; a 16-bit K or V may be rounded to its neighbour.
  static float bound(KvDtype dtype) {
    return dtype == KvDtype::f32 ? 2e-4F : dtype == KvDtype::f16 ? 5e-3F : 4e-2F;
  }

  // The same ops, bytes and choices: both took the same plans, and did in them what the plan says.
  static void expect_equal_work(const HostRun& host, const HostRun& card) {
    ASSERT_EQ(host.timeline.steps.size(), card.timeline.steps.size());
    for (std::size_t s = 0; s < host.timeline.steps.size(); ++s) {
      const StepEvent& one = host.timeline.steps[s];
      const StepEvent& other = card.timeline.steps[s];
      ASSERT_EQ(one.ops.size(), other.ops.size()) << "step " << s;
      for (std::size_t i = 0; i < one.ops.size(); ++i) {
        EXPECT_EQ(one.ops[i].kind, other.ops[i].kind);
        EXPECT_EQ(one.ops[i].bytes, other.ops[i].bytes)
            << "step " << s << ", op " << i << " (" << name_of(one.ops[i].kind) << ")";
      }
      ASSERT_EQ(one.outcomes.size(), other.outcomes.size()) << "step " << s;
      for (std::size_t i = 0; i < one.outcomes.size(); ++i) {
        EXPECT_EQ(one.outcomes[i].count, other.outcomes[i].count) << "step " << s << ", outcome " << i;
      }
    }
  }
};

TEST_F(CardExecutor, FullGpu_logitsOfTheHost) {
  expect_host_results({"full-gpu", {}, {}, KvDtype::f32});
  expect_host_results({"full-gpu", {}, {}, KvDtype::f16});
}

// Nothing is forced: each token is the last step's own argmax, and the first end token ends its request.
TEST_F(CardExecutor, Greedy_endTokenAmongThem_tokensOfTheHost) {
  const auto model = model_of(card_shape(ModelFamily::llama));
  const PolicyChoice choice{
      "hybridgen", {{"device_kv_tokens", 9}, {"topk_ratio", 300'000}}, {}, KvDtype::f32};
  const std::vector<RequestShape> requests = {{37, 14}, {40, 14}, {43, 14}};
  TokenFeed feed = feed_of(37, 14, 3);
  feed.forced.clear();
  const std::vector<std::int32_t> free =
      run_on_host(host_machine(), model, choice, {requests, 2, false}, feed).tokens[0];
  feed.end_tokens = {free[37 + 4]};
  const WorkloadShape workload{requests, 2, true};
  const HostRun host = run_on_host(host_machine(), model, choice, workload, feed);
  EXPECT_LT(host.tokens[0].size(), free.size()) << "no request ended early: the test shows nothing";
  for (const bool graphs : {false, true}) {
    CudaOptions options;
    options.graphs = graphs;
    EXPECT_EQ(run_policy(machine_, model->shape, choice, workload, feed,
                         [&](const MemoryPlan& plan, TokenFeed given) {
                           return make_cuda_executor(machine_, model, plan, std::move(given), 14, options);
                         })
                  .tokens,
              host.tokens);
  }
}

TEST_F(CardExecutor, Flexgen_logitsOfTheHost) {
  expect_host_results({"flexgen", {}, {}, KvDtype::f32});
  expect_host_results({"flexgen", {}, {}, KvDtype::f16});
}

TEST_F(CardExecutor, Hybridgen_logitsOfTheHost) {
  const std::map<std::string, std::int64_t> few = {{"device_kv_tokens", 9}, {"topk_ratio", 300'000}};
  expect_host_results({"hybridgen", few, {}, KvDtype::f32});
  expect_host_results({"hybridgen", few, {}, KvDtype::f16});
}

TEST_F(CardExecutor, CpuAttention_anyShareOfTheDevice_logitsOfTheHost) {
  expect_host_results({"flexgen-cpu-attention", {}, {}, KvDtype::f16});
  for (const int device_tokens : {1, 7, 30, 500}) {
    expect_host_results(
        {"flexgen-cpu-attention", {{"device_kv_tokens", device_tokens}}, {{"split", "fixed"}}, KvDtype::f32});
  }
}

TEST_F(CardExecutor, StreamingLlm_inTheCacheAndInTheText_logitsOfTheHost) {
  expect_host_results({"streaming-llm", {{"budget_tokens", 20}, {"sink_tokens", 3}}, {}, KvDtype::f32});
  expect_host_results(
      {"streaming-llm", {{"budget_tokens", 20}, {"sink_tokens", 3}, {"reindex", 1}}, {}, KvDtype::f16});
  expect_host_results({"streaming-llm", {{"budget_tokens", 45}}, {}, KvDtype::f32});  // filled while decoding
}

TEST_F(CardExecutor, H2o_budgetOfLessAndMoreThanThePrompt_logitsOfTheHost) {
  expect_host_results({"h2o", {{"budget_tokens", 20}}, {}, KvDtype::f32});
  expect_host_results({"h2o", {{"budget_tokens", 45}}, {}, KvDtype::f16});
}

TEST_F(CardExecutor, SnapKv_everyPoolingAndWayWithGeneratedTokens_logitsOfTheHost) {
  for (int pooling = 0; pooling < 2; ++pooling) {
    for (int generated = 0; generated < 3; ++generated) {
      expect_host_results({"snapkv",
                           {{"budget_tokens", 24},
                            {"observation_tokens", 6},
                            {"pooling_kernel", 5},
                            {"pooling", pooling},
                            {"generated", generated}},
                           {},
                           KvDtype::f32});
    }
  }
  expect_host_results({"snapkv", {{"budget_tokens", 100}, {"observation_tokens", 6}}, {}, KvDtype::f16});
}

TEST_F(CardExecutor, Quest_pagesOfSeveralSizes_logitsOfTheHost) {
  const auto quest = [](int budget, int page, int dense, KvDtype dtype) {
    return PolicyChoice{
        "quest", {{"budget_tokens", budget}, {"page_tokens", page}, {"dense_layers", dense}}, {}, dtype};
  };
  expect_host_results(quest(16, 4, 0, KvDtype::f32));
  expect_host_results(quest(15, 5, 1, KvDtype::f16));
  expect_host_results(quest(100, 16, 0, KvDtype::f32));
}

TEST_F(CardExecutor, Bf16Kv_logitsOfTheHost) {
  expect_host_results({"full-gpu", {}, {}, KvDtype::bf16});
  expect_host_results({"hybridgen", {{"device_kv_tokens", 9}, {"topk_ratio", 300'000}}, {}, KvDtype::bf16});
  expect_host_results({"h2o", {{"budget_tokens", 20}}, {}, KvDtype::bf16});
  expect_host_results({"quest", {{"budget_tokens", 16}, {"page_tokens", 4}}, {}, KvDtype::bf16});
}

PolicyChoice lookahead(const std::string& mode, std::map<std::string, std::int64_t> more = {},
                       KvDtype dtype = KvDtype::f32) {
  PolicyChoice choice{
      "hybridgen", {{"device_kv_tokens", 9}, {"topk_ratio", 300'000}}, {{"lookahead", mode}}, dtype};
  if (mode != "off" && mode != "choose")
    choice.params.insert({{"lookahead_predictor", 0}, {"lookahead_correct", 0}});
  for (const auto& [name, value] : more) choice.params[name] = value;
  return choice;
}

TEST_F(CardExecutor, Sinks_inFrontOfTheRing_logitsOfTheHost) {
  expect_host_results(lookahead("off", {{"sink_tokens", 3}}));
  expect_host_results(lookahead("off", {{"sink_tokens", 4}, {"device_kv_tokens", 30}}, KvDtype::f16));
}

TEST_F(CardExecutor, RowsPerKvGroup_logitsOfTheHost) {
  expect_host_results(lookahead("off", {{"select_by", 1}}));
  expect_host_results(lookahead("choose", {{"select_by", 1}}));
  expect_host_results(lookahead("off", {{"select_by", 2}}));
  expect_host_results(lookahead("choose", {{"select_by", 2}}));
  expect_host_results(lookahead("use", {{"select_by", 1}, {"sink_tokens", 2}}, KvDtype::f16));
  expect_host_results(lookahead("use", {{"select_by", 2}, {"lookahead_correct", 1}}, KvDtype::f16));
}

TEST_F(CardExecutor, OneLayerAhead_logitsOfTheHost) {
  expect_host_results(lookahead("choose"));
  expect_host_results(lookahead("use"));
  expect_host_results(lookahead("use", {{"lookahead_correct", 1}, {"sink_tokens", 3}}));
  expect_host_results(lookahead("choose", {}, KvDtype::bf16));
}

TEST_F(CardExecutor, FittedPredictor_logitsOfTheHost) {
  expect_host_results(lookahead("use", {{"lookahead_predictor", 1}, {"lookahead_correct", 1}}),
                      ModelFamily::qwen3, 8);
}

TEST_F(CardExecutor, InfiniGen_everyEviction_logitsOfTheHost) {
  const std::map<std::string, std::int64_t> few = {
      {"budget_tokens", 12}, {"whole_layers", 1}, {"partial_ratio", 300'000}, {"alpha", 2'000}};
  expect_host_results({"infinigen", few, {}, KvDtype::f32});
  expect_host_results({"infinigen", few, {}, KvDtype::f16});
  expect_host_results({"infinigen", few, {}, KvDtype::f32},
                      skewed(*model_of(card_shape(ModelFamily::llama))));
  for (int evict = 0; evict < 3; ++evict) {
    std::map<std::string, std::int64_t> bounded = few;
    bounded.insert({{"pool_tokens", 20}, {"pool_evict", evict}});
    expect_host_results({"infinigen", bounded, {}, KvDtype::f32});
  }
}

// Norms with biases, learned positions, ReLU, biases of projections, norms of q and k.
TEST_F(CardExecutor, EveryFamily_logitsOfTheHost) {
  for (const ModelFamily family : all_families()) {
    SCOPED_TRACE(name_of(family));
    expect_host_results({"hybridgen", {{"device_kv_tokens", 9}, {"topk_ratio", 300'000}}, {}, KvDtype::f32},
                        family);
  }
}

// How bench-machine times long contexts: K and V are random, no prompt comes first. Whatever no outcome
// decides goes over the links as it does on the host.
TEST_F(CardExecutor, DecodeWithoutAPrompt_everyPreset_movesWhatTheHostMoves) {
  const auto model = model_of(card_shape(ModelFamily::llama));
  for (const PresetEntry& preset : preset_registry()) {
    SCOPED_TRACE(preset.name);
    const DecodeBench bench = decode_of(preset);
    const auto on_card =
        measure_decode(machine_, model->shape, bench, [&](const MemoryPlan& plan, TokenFeed feed, Tokens n) {
          CudaOptions options;
          options.most_query_tokens = 1;
          options.random_kv = true;
          return make_cuda_executor(machine_, model, plan, std::move(feed), n, options);
        });
    const Machine host = host_machine();
    const auto on_host =
        measure_decode(host, model->shape, bench, [&](const MemoryPlan& plan, TokenFeed feed, Tokens n) {
          return std::make_unique<HostExecutor>(host, model, plan, std::move(feed), n);
        });
    EXPECT_GT(figure(on_card, "step time"), 0);
    if (preset.composition.select == "mean-threshold") continue;  // its rows are the model's choice
    for (const char* link : {"bytes over h2d", "bytes over d2h"}) {
      EXPECT_EQ(figure(on_card, link), figure(on_host, link)) << link;
    }
  }
}

}  // namespace
}  // namespace hybridgen::testing
