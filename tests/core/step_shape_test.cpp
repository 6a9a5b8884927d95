// Ops, their order and their dependencies, for each policy on a model of two layers. One line per op:
// id kind layer < dependencies; the lane's previous op comes first.
#include <gtest/gtest.h>

#include <sstream>

#include "tests/support/tiny_machine.hpp"
#include "tests/support/tiny_policy.hpp"

namespace hybridgen {
namespace {

std::string shape_of(const Step& step) {
  std::ostringstream text;
  for (const Op& op : step.ops) {
    text << "\n" << op.id.value << " " << name_of(op.kind);
    if (op.layer >= 0) text << " " << op.layer;
    text << " <";
    for (const OpId id : step.dependencies_of(op)) text << " " << id.value;
  }
  return text.str();
}

class StepShape : public testing::Test {
 protected:
  Step build(const std::string& policy_name, const RequestDecision& row, int layers = 2) {
    model_ = test::tiny_model(layers);
    const Policy policy = test::make_policy(tiny_.machine, model_, {1, 10, 4}, policy_name);
    return policy.build({StepId(0), {row}});
  }
  test::TinyMachine tiny_;
  ModelShape model_;
  const RequestDecision prefill_on_device_{RequestId(0), 0, 10, 10, 0, 0, 0};
  const RequestDecision prefill_split_{RequestId(0), 0, 10, 4, 6, 0, 0};
  const RequestDecision prefill_on_host_{RequestId(0), 0, 10, 0, 10, 0, 0};
  const RequestDecision decode_on_device_{RequestId(0), 10, 1, 11, 0, 0, 0};
  const RequestDecision decode_split_{RequestId(0), 10, 1, 4, 7, 1, 3, SlotId(0), 7};
  const RequestDecision decode_on_host_{RequestId(0), 10, 1, 0, 11, 0, 0};
};

// One chain; prefill's attention is another kind than decode's.
std::string all_on_device(const std::string& attend) {
  return "\n0 embed <\n1 norm_qkv 0 < 0\n2 " + attend +
         " 0 < 1\n3 project_out 0 < 2\n4 ffn 0 < 3\n5 norm_qkv 1 < 4\n6 " + attend +
         " 1 < 5\n7 project_out 1 < 6\n8 ffn 1 < 7\n9 lm_head < 8\n10 sample < 9";
}

TEST_F(StepShape, full_gpu_is_one_chain) {
  EXPECT_EQ(shape_of(build("full-gpu", prefill_on_device_)), all_on_device("prefill_attend"));
  EXPECT_EQ(shape_of(build("full-gpu", decode_on_device_)), all_on_device("attend"));
}

TEST_F(StepShape, a_budget_finds_a_slot_before_the_new_row_is_written) {
  const std::string decode = R"(
0 embed <
1 evict_row 0 < 0
2 norm_qkv 0 < 1 0
3 attend_kept 0 < 2
4 project_out 0 < 3
5 ffn 0 < 4
6 evict_row 1 < 5
7 norm_qkv 1 < 6 5
8 attend_kept 1 < 7
9 project_out 1 < 8
10 ffn 1 < 9
11 lm_head < 10
12 sample < 11)";
  EXPECT_EQ(shape_of(build("streaming-llm", decode_on_device_)), decode);
  EXPECT_EQ(shape_of(build("h2o", decode_on_device_)), decode);
}

TEST_F(StepShape, a_budget_compacts_the_prompt_after_its_attention) {
  EXPECT_EQ(shape_of(build("streaming-llm", prefill_on_device_, 1)), R"(
0 embed <
1 norm_qkv 0 < 0
2 prefill_attend 0 < 1
3 keep_rows 0 < 2
4 project_out 0 < 3
5 ffn 0 < 4
6 lm_head < 5
7 sample < 6)");
  EXPECT_EQ(shape_of(build("snapkv", prefill_on_device_, 1)), R"(
0 embed <
1 norm_qkv 0 < 0
2 prefill_attend 0 < 1
3 score_prompt 0 < 2 1
4 keep_rows 0 < 3 2
5 project_out 0 < 4
6 ffn 0 < 5
7 lm_head < 6
8 sample < 7)");
}

TEST_F(StepShape, hybridgen_without_host_tokens_decodes_like_full_gpu) {
  EXPECT_EQ(shape_of(build("hybridgen", decode_on_device_)), all_on_device("attend"));
}

// Two whole layers; the third one's rows are on their way while the second one is at work.
TEST_F(StepShape, infinigen_decode_fetches_one_layer_ahead) {
  const RequestDecision decode{RequestId(0), 10, 1, 0, 11, 0, 5, SlotId(0), 10};
  EXPECT_EQ(shape_of(build("infinigen", decode, 3)), R"(
0 embed <
1 load_kv 0 <
2 load_kv 1 < 1
3 norm_qkv 0 < 0
4 attend 0 < 3 1
5 offload_kv 0 < 3
6 project_out 0 < 4
7 ffn 0 < 6
8 norm_qkv 1 < 7
9 predict_query 2 < 8
10 partial_select 2 < 9
11 send_choice 2 < 5 10
12 pack_keys 2 < 11
13 send_keys 2 < 2 12
14 pack_rows 2 < 12 11
15 send_rows 2 < 13 14
16 attend 1 < 10 2 8
17 offload_kv 1 < 11 8
18 project_out 1 < 16
19 ffn 1 < 18
20 norm_qkv 2 < 19 5
21 attend_fetched 2 < 20 13 15
22 partial_keys 2 < 21 20
23 pool_row 2 < 17 22
24 project_out 2 < 22 21
25 ffn 2 < 24
26 lm_head < 25
27 sample < 26)");
}

TEST_F(StepShape, flexgen_decode_loads_two_layers_ahead) {
  EXPECT_EQ(shape_of(build("flexgen", decode_on_host_)), R"(
0 embed <
1 load_kv 0 <
2 load_kv 1 < 1
3 norm_qkv 0 < 0
4 attend 0 < 3 1
5 offload_kv 0 < 3
6 project_out 0 < 4
7 ffn 0 < 6
8 norm_qkv 1 < 7
9 attend 1 < 8 2
10 offload_kv 1 < 5 8
11 project_out 1 < 9
12 ffn 1 < 11
13 lm_head < 12
14 sample < 13)");
}

TEST_F(StepShape, flexgen_reuses_a_buffer_after_its_readers) {
  // Layer 2 shares layer 0's buffer: its load waits for attend 0, its norm_qkv for offload_kv 0.
  EXPECT_EQ(shape_of(build("flexgen", decode_on_host_, 3)), R"(
0 embed <
1 load_kv 0 <
2 load_kv 1 < 1
3 norm_qkv 0 < 0
4 attend 0 < 3 1
5 offload_kv 0 < 3
6 load_kv 2 < 2 4
7 project_out 0 < 4
8 ffn 0 < 7
9 norm_qkv 1 < 8
10 attend 1 < 9 2
11 offload_kv 1 < 5 9
12 project_out 1 < 10
13 ffn 1 < 12
14 norm_qkv 2 < 13 5
15 attend 2 < 14 6
16 offload_kv 2 < 11 14
17 project_out 2 < 15
18 ffn 2 < 17
19 lm_head < 18
20 sample < 19)");
}

TEST_F(StepShape, flexgen_prefill_loads_nothing) {
  EXPECT_EQ(shape_of(build("flexgen", prefill_on_host_)), R"(
0 embed <
1 norm_qkv 0 < 0
2 prefill_attend 0 < 1
3 offload_kv 0 < 1
4 project_out 0 < 2
5 ffn 0 < 4
6 norm_qkv 1 < 5
7 prefill_attend 1 < 6
8 offload_kv 1 < 3 6
9 project_out 1 < 7
10 ffn 1 < 9
11 lm_head < 10
12 sample < 11)");
}

TEST_F(StepShape, hybridgen_prefill_keeps_the_newest_and_sends_the_rest_down) {
  const Step step = build("hybridgen", prefill_split_);
  EXPECT_EQ(shape_of(step), R"(
0 embed <
1 norm_qkv 0 < 0
2 prefill_attend 0 < 1
3 offload_kv 0 < 1
4 keep_kv 0 < 2
5 project_out 0 < 4
6 ffn 0 < 5
7 norm_qkv 1 < 6
8 prefill_attend 1 < 7
9 offload_kv 1 < 3 7
10 keep_kv 1 < 8
11 project_out 1 < 10
12 ffn 1 < 11
13 lm_head < 12
14 sample < 13)");
  EXPECT_EQ(step.ops[3].work.first_token, 0);
  EXPECT_EQ(step.ops[3].work.tokens, 6);
  EXPECT_EQ(step.ops[4].work.first_token, 6);
  EXPECT_EQ(step.ops[4].work.tokens, 4);
  EXPECT_EQ(step.ops[8].work.buffer, 1);
}

// Layer 1's evicted row (4) goes down while layer 0 is scanned; norm_qkv writes into its slot afterwards.
constexpr const char* kHybridDecode = R"(
0 embed <
1 offload_kv 0 <
2 norm_qkv 0 < 0 1
3 send_query 0 < 1 2
4 offload_kv 1 < 3
5 host_logits 0 < 1 3
6 select 0 < 5
7 send_scores 0 < 6
8 pack_rows 0 < 6
9 send_rows 0 < 7 8
10 device_logits 0 < 2
11 joint_attend 0 < 10 7 9
12 project_out 0 < 11
13 ffn 0 < 12
14 norm_qkv 1 < 13 4
15 send_query 1 < 4 14
16 host_logits 1 < 8 4 15
17 select 1 < 16
18 send_scores 1 < 9 17
19 pack_rows 1 < 17
20 send_rows 1 < 18 19
21 device_logits 1 < 14
22 joint_attend 1 < 21 18 20
23 project_out 1 < 22
24 ffn 1 < 23
25 lm_head < 24
26 sample < 25)";

TEST_F(StepShape, hybridgen_decode_evicts_scans_and_joins) {
  const Step step = build("hybridgen", decode_split_);
  EXPECT_EQ(shape_of(step), kHybridDecode);
  EXPECT_EQ(step.ops[1].work.first_token, 6) << "the oldest token on the device";
  EXPECT_EQ(step.ops[1].work.tokens, 1);
  EXPECT_EQ(step.ops[5].work.tokens, 7);
  EXPECT_EQ(step.ops[6].work.rule, SelectRule::top_k);
  EXPECT_EQ(step.ops[6].work.rows_per_head, 3);
  EXPECT_EQ(step.ops[11].work.tokens, 4);
  EXPECT_TRUE(step.outcomes.empty());
}

// With layer 1's queries predicted from layer 0's input, its host ops come before layer 0's device share and
// depend on none of it.
TEST_F(StepShape, lookahead_choose_works_a_layer_ahead_and_sends_keys) {
  const Step step = build("hybridgen+choose", decode_split_);
  EXPECT_EQ(shape_of(step), R"(
0 embed <
1 offload_kv 0 <
2 norm_qkv 0 < 0 1
3 send_query 0 < 1 2
4 offload_kv 1 < 3
5 host_logits 0 < 1 3
6 select 0 < 5
7 send_scores 0 < 6
8 pack_rows 0 < 6
9 send_rows 0 < 7 8
10 predict_query 1 < 2
11 send_query 1 < 4 10
12 host_logits 1 < 8 4 11
13 select 1 < 12
14 pack_keys 1 < 13
15 send_keys 1 < 9 14
16 pack_rows 1 < 14 13
17 send_rows 1 < 15 16
18 device_logits 0 < 10 2
19 joint_attend 0 < 18 7 9
20 project_out 0 < 19
21 ffn 0 < 20
22 norm_qkv 1 < 21 4
23 device_logits 1 < 22
24 row_logits 1 < 23 15
25 joint_attend 1 < 24 23 17
26 project_out 1 < 25
27 ffn 1 < 26
28 lm_head < 27
29 sample < 28)");
  EXPECT_FALSE(step.ops[3].work.predicted);
  EXPECT_TRUE(step.ops[11].work.predicted);
  for (const Op& op : step.ops) {
    const bool exchange = op.kind == OpKind::send_query || op.kind == OpKind::select ||
                          op.kind == OpKind::send_rows || op.kind == OpKind::joint_attend;
    if (exchange) {
      EXPECT_EQ(op.work.buffer, op.layer) << op.id.value << ": two layers' exchanges are alive";
    }
  }
}

TEST_F(StepShape, lookahead_use_corrects_the_scores_before_they_enter) {
  const Step step = build("hybridgen+use", decode_split_);
  const std::string shape = shape_of(step);
  EXPECT_NE(shape.find(R"(
10 predict_query 1 < 2
11 send_query 1 < 4 10
12 host_logits 1 < 8 4 11
13 select 1 < 12
14 send_scores 1 < 9 13
15 pack_rows 1 < 13
16 send_rows 1 < 14 15
17 device_logits 0 < 10 2
18 joint_attend 0 < 17 7 9)"),
            std::string::npos)
      << shape;
  EXPECT_NE(shape.find(R"(
22 fit_logits 1 < 21
23 correct_scores 1 < 22 14
24 joint_attend 1 < 23 22 16)"),
            std::string::npos)
      << shape;
}

TEST_F(StepShape, lookahead_without_host_tokens_decodes_like_full_gpu) {
  EXPECT_EQ(shape_of(build("hybridgen+choose", decode_on_device_)), all_on_device("attend"));
}

TEST_F(StepShape, lookahead_exempt_layers_wait_for_their_query) {
  model_ = test::tiny_model(4);
  const Policy policy = test::make_policy(tiny_.machine, model_, {1, 10, 4}, "hybridgen+choose",
                                          {{"lookahead_exempt_layers", 2}});
  const Step step = policy.build({StepId(0), {decode_split_}});
  std::vector<int> predicted;
  for (const Op& op : step.ops) {
    if (op.kind == OpKind::predict_query) predicted.push_back(op.layer);
  }
  EXPECT_EQ(predicted, (std::vector<int>{2, 3}));
}

TEST_F(StepShape, host_attention_evicts_attends_on_both_sides_and_joins) {
  const Step step = build("flexgen-cpu-attention", decode_split_);
  EXPECT_EQ(shape_of(step), R"(
0 embed <
1 offload_kv 0 <
2 norm_qkv 0 < 0 1
3 send_query 0 < 1 2
4 offload_kv 1 < 3
5 host_attend 0 < 1 3
6 send_partial 0 < 5
7 device_partial 0 < 2
8 join_partials 0 < 7 6
9 project_out 0 < 8
10 ffn 0 < 9
11 norm_qkv 1 < 10 4
12 send_query 1 < 4 11
13 host_attend 1 < 5 4 12
14 send_partial 1 < 6 13
15 device_partial 1 < 11
16 join_partials 1 < 15 14
17 project_out 1 < 16
18 ffn 1 < 17
19 lm_head < 18
20 sample < 19)");
  EXPECT_EQ(step.ops[1].work.first_token, 6) << "the oldest token on the device";
  EXPECT_EQ(step.ops[5].work.tokens, 7);
  EXPECT_EQ(step.ops[7].work.tokens, 4);
  EXPECT_EQ(step.ops[5].traffic.flops.resolve({}), 4 * model_.q_width() * 7);
  EXPECT_EQ(step.ops[7].traffic.flops.resolve({}), 4 * model_.q_width() * 4);
}

TEST_F(StepShape, host_attention_prefills_like_hybridgen) {
  EXPECT_EQ(shape_of(build("flexgen-cpu-attention", prefill_split_)),
            shape_of(build("hybridgen", prefill_split_)));
}

TEST_F(StepShape, host_attention_without_host_tokens_decodes_like_full_gpu) {
  EXPECT_EQ(shape_of(build("flexgen-cpu-attention", decode_on_device_)), all_on_device("attend"));
}

TEST_F(StepShape, threshold_has_the_same_ops_sized_by_an_outcome_per_layer) {
  const Step step = build("hybridgen+threshold", decode_split_);
  EXPECT_EQ(shape_of(step), kHybridDecode);
  ASSERT_EQ(step.outcomes.size(), 2u);
  EXPECT_EQ(step.outcomes[0].producer, OpId(6));
  EXPECT_EQ(step.outcomes[1].producer, OpId(17));
  EXPECT_EQ(step.outcomes[1].layer, 1);
  EXPECT_EQ(step.outcomes[0].least, 4) << "a row per query head";
  EXPECT_EQ(step.outcomes[0].bound, 4 * 3);
  EXPECT_EQ(step.ops[6].work.alpha_milli, 4000);
  // Gathered rows of 5 fp16 elements, logits of 4 bytes, per selected row.
  const std::int64_t counts[] = {9, -1};
  EXPECT_EQ(step.ops[8].traffic.accesses[0].bytes.resolve(counts), 9 * 10);
  EXPECT_EQ(step.ops[7].traffic.copies[0].bytes.resolve(counts), 9 * 4);
  EXPECT_EQ(step.ops[9].traffic.copies[0].bytes.resolve(counts), 9 * 10);
}

TEST_F(StepShape, end_of_sequence_is_an_outcome_of_sample_when_asked_for) {
  model_ = test::tiny_model();
  const Policy policy = test::make_policy(tiny_.machine, model_, {1, 10, 4, true}, "full-gpu");
  const Step step = policy.build({StepId(0), {decode_on_device_}});
  ASSERT_EQ(step.outcomes.size(), 1u);
  EXPECT_EQ(step.outcomes[0].kind, OutcomeKind::end_of_sequence);
  EXPECT_EQ(step.ops[step.outcomes[0].producer.index()].kind, OpKind::sample);
}

TEST_F(StepShape, equal_decisions_give_equal_steps) {
  const Step once = build("hybridgen", decode_split_);
  const Step again = build("hybridgen", decode_split_);
  EXPECT_EQ(shape_of(once), shape_of(again));
  EXPECT_EQ(structure_hash(once), structure_hash(again));
}

}  // namespace
}  // namespace hybridgen
