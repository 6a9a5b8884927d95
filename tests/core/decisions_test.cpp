// Decisions of each policy, worked out by hand. Prompt 10, four new tokens: one prefill, three decode steps.
#include <gtest/gtest.h>

#include "core/driver/driver.hpp"
#include "tests/support/scripted_executor.hpp"
#include "tests/support/tiny_machine.hpp"
#include "tests/support/tiny_policy.hpp"

namespace hybridgen {
namespace {

// request, first position, query tokens | on the device, on the host, evicted, rows per head | slot
RequestDecision row(int request, Tokens first, Tokens query, Tokens device, Tokens host, Tokens evict,
                    std::int64_t rows, int slot = 0) {
  const Tokens scanned = first > 0 && rows > 0 ? host : 0;  // all of the host's, where rows are chosen
  return {RequestId(request), first, query, device, host, evict, rows, SlotId(slot), scanned};
}

}  // namespace

void PrintTo(const RequestDecision& r, std::ostream* out) {
  *out << "request " << r.request.value << ": " << r.first_position << " + " << r.query_tokens << " | device "
       << r.device_tokens << ", host " << r.host_tokens << ", evict " << r.evict_tokens << ", rows "
       << r.rows_per_head << " of " << r.scan_tokens << " scanned";
}

namespace {

class Decisions : public testing::Test {
 protected:
  using Rows = std::vector<RequestDecision>;

  std::vector<Rows> of(const std::string& name, const std::map<std::string, std::int64_t>& values = {},
                       const WorkloadShape& workload = {1, 10, 4}) {
    Policy policy = test::make_policy(tiny_.machine, model_, workload, name, values);
    test::ScriptedExecutor executor(tiny_.machine);
    Driver driver(tiny_.machine, model_, workload, policy, executor);
    std::vector<Rows> rows;
    for (const StepEvent& step : driver.run().steps) rows.push_back(step.decision.rows);
    return rows;
  }
  // k at the first decode step, whose host segment holds `host_tokens`.
  std::int64_t rows_per_head(const std::string& name, const std::string& param, Ppm ratio,
                             Tokens host_tokens) {
    return of(name, {{"device_kv_tokens", 1}, {param, ratio}}, {1, host_tokens, 2}).at(1).at(0).rows_per_head;
  }

  test::TinyMachine tiny_;
  const ModelShape model_ = test::tiny_model();
};

TEST_F(Decisions, full_gpu_keeps_everything_on_the_device) {
  EXPECT_EQ(of("full-gpu"), (std::vector<Rows>{{row(0, 0, 10, 10, 0, 0, 0)},
                                               {row(0, 10, 1, 11, 0, 0, 0)},
                                               {row(0, 11, 1, 12, 0, 0, 0)},
                                               {row(0, 12, 1, 13, 0, 0, 0)}}));
}

TEST_F(Decisions, flexgen_keeps_everything_on_the_host) {
  EXPECT_EQ(of("flexgen"), (std::vector<Rows>{{row(0, 0, 10, 0, 10, 0, 0)},
                                              {row(0, 10, 1, 0, 11, 0, 0)},
                                              {row(0, 11, 1, 0, 12, 0, 0)},
                                              {row(0, 12, 1, 0, 13, 0, 0)}}));
}

TEST_F(Decisions, flexgen_cpu_attention_keeps_all_but_the_newest_token_on_the_host) {
  EXPECT_EQ(of("flexgen-cpu-attention"), (std::vector<Rows>{{row(0, 0, 10, 1, 9, 0, 0)},
                                                            {row(0, 10, 1, 1, 10, 1, 0)},
                                                            {row(0, 11, 1, 1, 11, 1, 0)},
                                                            {row(0, 12, 1, 1, 12, 1, 0)}}));
}

TEST_F(Decisions, hybridgen_evicts_one_token_per_step_once_the_segment_is_full) {
  EXPECT_EQ(of("hybridgen", {{"device_kv_tokens", 4}, {"topk_ratio", 500'000}}),
            (std::vector<Rows>{{row(0, 0, 10, 4, 6, 0, 0)},
                               {row(0, 10, 1, 4, 7, 1, 3)},
                               {row(0, 11, 1, 4, 8, 1, 4)},
                               {row(0, 12, 1, 4, 9, 1, 4)}}));
}

TEST_F(Decisions, hybridgen_fills_the_segment_before_it_evicts) {
  EXPECT_EQ(of("hybridgen", {{"device_kv_tokens", 12}, {"topk_ratio", 500'000}}),
            (std::vector<Rows>{{row(0, 0, 10, 10, 0, 0, 0)},
                               {row(0, 10, 1, 11, 0, 0, 0)},
                               {row(0, 11, 1, 12, 0, 0, 0)},
                               {row(0, 12, 1, 12, 1, 1, 1)}}));
}

TEST_F(Decisions, hybridgen_with_a_segment_of_one_keeps_only_the_newest) {
  EXPECT_EQ(of("hybridgen", {{"device_kv_tokens", 1}, {"topk_ratio", 1'000'000}}),
            (std::vector<Rows>{{row(0, 0, 10, 1, 9, 0, 0)},
                               {row(0, 10, 1, 1, 10, 1, 10)},
                               {row(0, 11, 1, 1, 11, 1, 11)},
                               {row(0, 12, 1, 1, 12, 1, 12)}}));
}

TEST_F(Decisions, hybridgen_with_room_for_all_never_touches_the_host) {
  for (const Rows& rows : of("hybridgen", {{"device_kv_tokens", 13}})) EXPECT_EQ(rows[0].host_tokens, 0);
}

RequestDecision kept_row(Tokens first, Tokens query, Tokens device, Tokens dropped) {
  RequestDecision decided = row(0, first, query, device, 0, 0, 0);
  decided.drop_tokens = dropped;
  return decided;
}

TEST_F(Decisions, a_budget_cuts_the_prompt_and_then_drops_one_token_per_step) {
  for (const char* preset : {"streaming-llm", "h2o"}) {
    EXPECT_EQ(of(preset, {{"budget_tokens", 6}}), (std::vector<Rows>{{kept_row(0, 10, 6, 4)},
                                                                     {kept_row(10, 1, 6, 1)},
                                                                     {kept_row(11, 1, 6, 1)},
                                                                     {kept_row(12, 1, 6, 1)}}));
  }
}

TEST_F(Decisions, a_budget_that_is_not_full_drops_nothing) {
  EXPECT_EQ(of("h2o", {{"budget_tokens", 12}}), (std::vector<Rows>{{kept_row(0, 10, 10, 0)},
                                                                   {kept_row(10, 1, 11, 0)},
                                                                   {kept_row(11, 1, 12, 0)},
                                                                   {kept_row(12, 1, 12, 1)}}));
}

TEST_F(Decisions, snapkv_keeps_what_is_generated_on_top_of_the_budget_or_within) {
  EXPECT_EQ(of("snapkv", {{"budget_tokens", 6}, {"observation_tokens", 2}}),
            (std::vector<Rows>{{kept_row(0, 10, 6, 4)},
                               {kept_row(10, 1, 7, 0)},
                               {kept_row(11, 1, 8, 0)},
                               {kept_row(12, 1, 9, 0)}}));
  for (const std::int64_t generated : {1, 2}) {  // bound, slide
    EXPECT_EQ(of("snapkv", {{"budget_tokens", 6}, {"observation_tokens", 2}, {"generated", generated}})[1],
              Rows{kept_row(10, 1, 6, 1)});
  }
}

// A smaller request may generate more than the one that the slot is sized by.
TEST_F(Decisions, snapkv_plans_for_the_longest_answer_of_any_request) {
  const WorkloadShape workload({{20, 2}, {5, 14}}, 1);
  const Policy policy = test::make_policy(tiny_.machine, model_, workload, "snapkv",
                                          {{"budget_tokens", 4}, {"observation_tokens", 1}});
  EXPECT_EQ(policy.memory_plan().segment_tokens, 4 + 13);
}

RequestDecision pooled_row(Tokens first, Tokens scanned, std::int64_t rows, Tokens trimmed) {
  RequestDecision decided = row(0, first, 1, 0, first + 1, 0, rows);
  decided.scan_tokens = scanned;
  decided.trim_tokens = trimmed;
  return decided;
}

// The prompt's ten rows stay until the first new one comes; its slots are then taken again.
TEST_F(Decisions, infinigen_trims_the_pools_to_their_bound_and_scans_slots_ever_taken) {
  EXPECT_EQ(of("infinigen", {{"budget_tokens", 7}, {"pool_tokens", 6}, {"whole_layers", 1}}),
            (std::vector<Rows>{{row(0, 0, 10, 0, 10, 0, 0)},
                               {pooled_row(10, 10, 7, 5)},
                               {pooled_row(11, 10, 6, 1)},
                               {pooled_row(12, 10, 6, 1)}}));
  EXPECT_EQ(of("infinigen", {{"budget_tokens", 7}, {"pool_tokens", 11}, {"whole_layers", 1}}),
            (std::vector<Rows>{{row(0, 0, 10, 0, 10, 0, 0)},
                               {pooled_row(10, 10, 7, 0)},
                               {pooled_row(11, 11, 7, 1)},
                               {pooled_row(12, 11, 7, 1)}}));
}

TEST_F(Decisions, infinigen_without_a_bound_trims_nothing) {
  EXPECT_EQ(of("infinigen", {{"budget_tokens", 70}, {"whole_layers", 1}}),
            (std::vector<Rows>{{row(0, 0, 10, 0, 10, 0, 0)},
                               {pooled_row(10, 10, 10, 0)},
                               {pooled_row(11, 11, 11, 0)},
                               {pooled_row(12, 12, 12, 0)}}));
}

TEST_F(Decisions, infinigen_of_whole_layers_alone_chooses_nothing) {
  EXPECT_EQ(of("infinigen", {{"budget_tokens", 7}, {"pool_tokens", 6}}),
            (std::vector<Rows>{{row(0, 0, 10, 0, 10, 0, 0)},
                               {row(0, 10, 1, 0, 11, 0, 0)},
                               {row(0, 11, 1, 0, 12, 0, 0)},
                               {row(0, 12, 1, 0, 13, 0, 0)}}));
}

TEST_F(Decisions, threshold_plans_with_the_bound) {
  EXPECT_EQ(of("hybridgen+threshold", {{"device_kv_tokens", 4}, {"max_rows_ratio", 300'000}}),
            (std::vector<Rows>{{row(0, 0, 10, 4, 6, 0, 0)},
                               {row(0, 10, 1, 4, 7, 1, 2)},
                               {row(0, 11, 1, 4, 8, 1, 2)},
                               {row(0, 12, 1, 4, 9, 1, 2)}}));
}

TEST_F(Decisions, requests_are_prefilled_one_by_one_and_decode_together) {
  EXPECT_EQ(of("hybridgen", {{"device_kv_tokens", 4}, {"topk_ratio", 500'000}}, {2, 6, 3}),
            (std::vector<Rows>{{row(0, 0, 6, 4, 2, 0, 0)},
                               {row(1, 0, 6, 4, 2, 0, 0, 1)},
                               {row(0, 6, 1, 4, 3, 1, 1), row(1, 6, 1, 4, 3, 1, 1, 1)},
                               {row(0, 7, 1, 4, 4, 1, 2), row(1, 7, 1, 4, 4, 1, 2, 1)}}));
}

TEST_F(Decisions, prompt_of_one_token_is_a_prefill) {
  EXPECT_EQ(of("hybridgen", {{"device_kv_tokens", 4}}, {1, 1, 2}),
            (std::vector<Rows>{{row(0, 0, 1, 1, 0, 0, 0)}, {row(0, 1, 1, 2, 0, 0, 0)}}));
}

TEST_F(Decisions, one_new_token_needs_no_decode_step) {
  EXPECT_EQ(of("flexgen", {}, {1, 10, 1}).size(), 1u);
}

// k = max(1, floor(ratio x host tokens)), exact where binary floating point is not: .05 x 20, .07 x 100,
// .29 x 100 all come out one short in doubles or not, by luck.
TEST_F(Decisions, rows_per_head_is_the_floor_of_the_exact_product_and_at_least_one) {
  for (const auto& [name, param] :
       {std::pair{"hybridgen", "topk_ratio"}, std::pair{"hybridgen+threshold", "max_rows_ratio"}}) {
    EXPECT_EQ(rows_per_head(name, param, 50'000, 20), 1);
    EXPECT_EQ(rows_per_head(name, param, 50'000, 39), 1);
    EXPECT_EQ(rows_per_head(name, param, 50'000, 40), 2);
    EXPECT_EQ(rows_per_head(name, param, 70'000, 100), 7);
    EXPECT_EQ(rows_per_head(name, param, 290'000, 100), 29);
    EXPECT_EQ(rows_per_head(name, param, 570'000, 100), 57);
    EXPECT_EQ(rows_per_head(name, param, 50'000, 19), 1) << "at least one";
    EXPECT_EQ(rows_per_head(name, param, 0, 100), 1);
    EXPECT_EQ(rows_per_head(name, param, 1'000'000, 100), 100);
  }
}

TEST_F(Decisions, memory_plan_of_hybridgen_reserves_each_purpose) {
  // row: 2 KV heads x 5 x 2 bytes = 20. Segment 4, host 13 - 4 = 9, staging 10 tokens twice.
  // Exchange: floor(.5 x 9) = 4 rows x 4 heads x (5 x 2 + 4) bytes, on both sides.
  const Policy policy = test::make_policy(tiny_.machine, model_, {1, 10, 4}, "hybridgen",
                                          {{"device_kv_tokens", 4}, {"topk_ratio", 500'000}});
  const Bytes weights = model_.weight_bytes();
  // In floats: per query token 3 x 12 hidden, 40 of Q, K and V, 20 attended, 2 x 28 of the FFN, 5 of angles;
  // 64 logits; 4 heads x 10 tokens of attention logits. On the host 4 x 9, 4 x 4 selected rows and the query.
  const Bytes device_work = 4 * (157 * 10 + 64 + 4 * 10);
  const Bytes host_work = 4 * (4 * 9 + 4 * 4 + 20);
  EXPECT_EQ(policy.memory_plan().needed(tiny_.hbm),
            weights + 2 * 2 * 20 * 4 + 2 * 2 * 20 * 10 + 4 * 4 * 14 + device_work);
  EXPECT_EQ(policy.memory_plan().needed(tiny_.dram), 2 * 2 * 20 * 9 + 4 * 4 * 14 + host_work);
  EXPECT_EQ(policy.memory_plan().needed(tiny_.cxl), 0);
}

// One choice per KV head: 4 rows x 2 KV heads x (5 x 2 bytes and the logits of both its heads), and a margin
// of each KV head and host token to work in.
TEST_F(Decisions, memory_plan_of_one_choice_per_kv_group_reserves_its_rows_and_margins) {
  const Policy policy =
      test::make_policy(tiny_.machine, model_, {1, 10, 4}, "hybridgen",
                        {{"device_kv_tokens", 4}, {"topk_ratio", 500'000}, {"select_by", 2}});
  const Bytes host_work = 4 * (4 * 9 + 4 * 4 + 20 + 2 * 9);
  EXPECT_EQ(policy.memory_plan().needed(tiny_.dram), 2 * 2 * 20 * 9 + 4 * 2 * (10 + 2 * 4) + host_work);
}

TEST_F(Decisions, memory_plan_of_a_budget_reserves_kept_rows_and_one_staged_prompt) {
  const Policy policy = test::make_policy(tiny_.machine, model_, {1, 10, 4}, "h2o", {{"budget_tokens", 6}});
  // As above; besides, 2 layers x 2 KV heads x 6 rows of position and mass, and the mass of 10 tokens per KV
  // head.
  const Bytes work = 4 * (157 * 10 + 64 + 4 * 10) + 2 * 2 * 6 * 8 + 2 * 10 * 4;
  EXPECT_EQ(policy.memory_plan().needed(tiny_.hbm),
            model_.weight_bytes() + 2 * 2 * 20 * 6 + 2 * 20 * 10 + work);
  EXPECT_EQ(policy.memory_plan().needed(tiny_.dram), 0);
}

TEST_F(Decisions, absurd_sizes_do_not_fit_instead_of_overflowing) {
  const Policy policy = test::make_policy(tiny_.machine, model_, {1'000'000, 1LL << 50, 4}, "full-gpu");
  EXPECT_GE(policy.memory_plan().needed(tiny_.hbm), 1LL << 56);
}

TEST_F(Decisions, semantic_placement_puts_v_into_cxl) {
  Composition composition = test::composition_of("hybridgen");
  composition.placement = "semantic";
  const Policy policy(composition, {tiny_.machine, model_, KvDtype::f16, test::params_for(composition, {})},
                      {1, 10, 4});
  EXPECT_EQ(policy.memory_plan().needed(tiny_.cxl), 2 * 20 * 9);
  EXPECT_EQ(policy.memory_plan().needed(tiny_.dram), 2 * 20 * 9 + 4 * 4 * 14 + 4 * (4 * 9 + 4 * 4 + 20));
}

}  // namespace
}  // namespace hybridgen
