// Bytes per channel of one step against closed forms. With
//   H hidden, Q = query heads x head_dim, G = KV heads x head_dim, F ffn, V vocab, L layers,
//   h = K or V of one token and head, head_dim x bytes of an element (int8: head_dim + 4, its scale),
//   r = h x KV heads (of one token in a layer),
// weights are 2 bytes, queries and logits 4.
#include <gtest/gtest.h>

#include "tests/support/scripted_executor.hpp"
#include "tests/support/tiny_machine.hpp"
#include "tests/support/tiny_policy.hpp"

namespace hybridgen {

// Names a test's parameter in ctest's list.
inline void PrintTo(KvDtype dtype, std::ostream* out) {
  *out << name_of(dtype);
}

namespace {

class BytesOfAStep : public testing::TestWithParam<KvDtype> {
 protected:
  Step build(const std::string& name, const RequestDecision& row, const std::string& placement = "unified",
             const std::map<std::string, std::int64_t>& values = {}) {
    Composition composition = test::composition_of(name);
    if (!composition.placement.empty()) composition.placement = placement;
    const PartContext context{tiny_.machine, model_, GetParam(), test::params_for(composition, values)};
    const Policy policy(composition, context, {1, 10, 8});
    return policy.build({StepId(0), {row}});
  }
  std::vector<Bytes> channels(const Step& step, const std::vector<std::int64_t>& counts = {}) const {
    return test::channel_bytes(step, tiny_.machine, counts);
  }
  Bytes at(const std::vector<Bytes>& bytes, ChannelId id) const { return bytes[id.index()]; }
  // All matrices read once per step, the embedding one row per query token, and the new rows written.
  Bytes weights_and_new_rows(Tokens t) const {
    return 2 * t * H + L * (2 * H * (Q + 2 * G) + 2 * t * r) + L * 2 * (Q * H + 3 * H * F) + 2 * V * H;
  }

  test::TinyMachine tiny_;
  const ModelShape model_ = test::tiny_model(3);
  const Bytes H = 12, Q = 20, G = 10, F = 28, V = 64, L = 3, heads = 4;
  // A row of so many channels, as the file's head says it.
  static Bytes row(Bytes channels) {
    if (GetParam() == KvDtype::int8) return channels + 4;
    return channels * (GetParam() == KvDtype::f32 ? 4 : 2);
  }
  const Bytes h = row(5), r = 2 * h;
};

TEST_P(BytesOfAStep, full_gpu_reads_weights_and_all_kv_in_hbm) {
  const auto bytes = channels(build("full-gpu", {RequestId(0), 10, 1, 11, 0, 0, 0}));
  EXPECT_EQ(at(bytes, tiny_.hbm_channel), weights_and_new_rows(1) + L * 2 * 11 * r);
  for (const ChannelId id : {tiny_.dram_channel, tiny_.pcie_up, tiny_.pcie_down, tiny_.cxl_channel}) {
    EXPECT_EQ(at(bytes, id), 0);
  }
}

// Two whole layers; in the third one column of five is kept, in rows of 16 channels, and c rows come up.
TEST_P(BytesOfAStep, infinigen_decode_moves_chosen_rows_up_and_their_numbers_down) {
  const Bytes n = 10, c = 12, kv_heads = 2, partial = kv_heads * row(16), skew = G * 4;
  const auto bytes = channels(build("infinigen", {RequestId(0), n, 1, 0, n + 1, 0, 5, SlotId(0), n}), {c});
  const Bytes up = 2 * 2 * n * r + 2 * c * h;
  const Bytes down = L * 2 * r + c * 4 + kv_heads * 4;
  EXPECT_EQ(at(bytes, tiny_.pcie_up), up);
  EXPECT_EQ(at(bytes, tiny_.pcie_down), down);
  EXPECT_EQ(at(bytes, tiny_.dram_channel), up + down + 2 * 2 * c * h) << "and rows are gathered";
  const Bytes guessed = 2 * H * Q + n * partial + skew;
  const Bytes attended = 2 * 2 * (n + 1) * r + 2 * (c + heads) * h;
  EXPECT_EQ(at(bytes, tiny_.hbm_channel),
            weights_and_new_rows(1) + up + down + guessed + attended + r + skew + partial);
}

TEST_P(BytesOfAStep, flexgen_decode_moves_all_kv_up_and_one_row_down) {
  const Bytes n = 10;
  const auto bytes = channels(build("flexgen", {RequestId(0), n, 1, 0, n + 1, 0, 0}));
  EXPECT_EQ(at(bytes, tiny_.pcie_up), L * 2 * n * r);
  EXPECT_EQ(at(bytes, tiny_.pcie_down), L * 2 * r);
  EXPECT_EQ(at(bytes, tiny_.pcie_duplex), L * 2 * (n + 1) * r);
  EXPECT_EQ(at(bytes, tiny_.dram_channel), L * 2 * (n + 1) * r);
  // HBM: written by the load, read by attention (with the new token), read by the offload.
  EXPECT_EQ(at(bytes, tiny_.hbm_channel), weights_and_new_rows(1) + L * 2 * (n * r + (n + 1) * r + r));
}

TEST_P(BytesOfAStep, flexgen_prefill_moves_the_prompt_down) {
  const auto bytes = channels(build("flexgen", {RequestId(0), 0, 10, 0, 10, 0, 0}));
  EXPECT_EQ(at(bytes, tiny_.pcie_up), 0);
  EXPECT_EQ(at(bytes, tiny_.pcie_down), L * 2 * 10 * r);
  EXPECT_EQ(at(bytes, tiny_.hbm_channel), weights_and_new_rows(10) + L * 2 * (10 * r + 10 * r));
}

TEST_P(BytesOfAStep, hybridgen_prefill_sends_the_host_segment_down_and_keeps_the_rest) {
  const auto bytes = channels(build("hybridgen", {RequestId(0), 0, 10, 4, 6, 0, 0}));
  EXPECT_EQ(at(bytes, tiny_.pcie_down), L * 2 * 6 * r);
  EXPECT_EQ(at(bytes, tiny_.pcie_up), 0);
  EXPECT_EQ(at(bytes, tiny_.dram_channel), L * 2 * 6 * r);
  // attend reads 10 tokens, offload 6; keep reads and writes 4.
  EXPECT_EQ(at(bytes, tiny_.hbm_channel), weights_and_new_rows(10) + L * 2 * (10 + 6 + 2 * 4) * r);
}

TEST_P(BytesOfAStep, hybridgen_decode_moves_q_down_and_k_scores_and_rows_up) {
  const Bytes d = 4, n = 7, k = 3;
  const auto bytes = channels(build("hybridgen", {RequestId(0), 10, 1, d, n, 1, k, SlotId(0), n}));
  const Bytes down = 4 * Q + 2 * r;        // the query; the evicted token's K and V
  const Bytes up = heads * k * (4 + h);    // scores and V rows
  const Bytes packed = 2 * heads * k * h;  // gathered, and written side by side
  EXPECT_EQ(at(bytes, tiny_.pcie_down), L * down);
  EXPECT_EQ(at(bytes, tiny_.pcie_up), L * up);
  EXPECT_EQ(at(bytes, tiny_.pcie_duplex), L * (down + up));
  EXPECT_EQ(at(bytes, tiny_.dram_channel), L * (down + n * r + packed + up));
  // K of the segment for its logits, V for the sum, and what came up, once written and once read.
  EXPECT_EQ(at(bytes, tiny_.hbm_channel),
            weights_and_new_rows(1) + L * (down + up + 2 * d * r + heads * k * (4 + h)));
}

// Rows are known by a position of 4 bytes and, where mass decides, by a mass of 4, per KV head.
TEST_P(BytesOfAStep, a_budget_reads_its_rows_and_what_they_are_known_by) {
  RequestDecision row{RequestId(0), 10, 1, 6, 0, 0, 0};
  row.drop_tokens = 1;
  const Bytes d = 6, kv_heads = 2;
  const Bytes window = at(channels(build("streaming-llm", row)), tiny_.hbm_channel);
  EXPECT_EQ(window, weights_and_new_rows(1) + L * (2 * d * r + kv_heads * (d + 1) * 4));
  // The mass of each row is read and written again by attention.
  const Bytes heavy = at(channels(build("h2o", row)), tiny_.hbm_channel);
  EXPECT_EQ(heavy, weights_and_new_rows(1) + L * (2 * d * r + kv_heads * (d + 1) * 8 + 2 * kv_heads * d * 4));
}

TEST_P(BytesOfAStep, a_budget_compacts_the_prompt_on_the_device) {
  RequestDecision row{RequestId(0), 0, 10, 6, 0, 0, 0};
  row.drop_tokens = 4;
  const Bytes d = 6, kv_heads = 2;
  const auto bytes = channels(build("snapkv", row));
  // K of the prompt is read for its mass, which is written and read; six rows are read, and written with 8
  // bytes.
  const Bytes scoring = 10 * r + 2 * 10 * kv_heads * 4;
  EXPECT_EQ(at(bytes, tiny_.hbm_channel),
            weights_and_new_rows(10) + L * (2 * 10 * r + scoring + 2 * 2 * d * r + d * kv_heads * 8));
  EXPECT_EQ(at(bytes, tiny_.pcie_down), 0);
}

// Layer 0 waits for its true query and sends scores; the others send K rows beside the V rows.
TEST_P(BytesOfAStep, choose_moves_keys_up_and_reads_the_q_projection_once_more) {
  const Bytes d = 4, n = 7, k = 3;
  const auto bytes = channels(build("hybridgen+choose", {RequestId(0), 10, 1, d, n, 1, k, SlotId(0), n}));
  const Bytes down = L * (4 * Q + 2 * r);
  const Bytes up = heads * k * (4 + h) + (L - 1) * heads * k * 2 * h;
  const Bytes packed = 2 * heads * k * h * (L + (L - 1));
  EXPECT_EQ(at(bytes, tiny_.pcie_down), down);
  EXPECT_EQ(at(bytes, tiny_.pcie_up), up);
  EXPECT_EQ(at(bytes, tiny_.dram_channel), down + L * n * r + packed + up);
  EXPECT_EQ(at(bytes, tiny_.hbm_channel), weights_and_new_rows(1) + (L - 1) * 2 * H * Q + down + up +
                                              L * (2 * d * r + heads * k * (4 + h)) +
                                              (L - 1) * heads * k * h);
}

TEST_P(BytesOfAStep, choose_by_semantic_placement_gathers_keys_in_dram) {
  const Bytes d = 4, n = 7, k = 3;
  const auto bytes =
      channels(build("hybridgen+choose", {RequestId(0), 10, 1, d, n, 1, k, SlotId(0), n}, "semantic"));
  EXPECT_EQ(at(bytes, tiny_.cxl_channel), L * (r + heads * k * h)) << "evicted V, gathered V";
}

// The wire of `off`; the correction rewrites the scores on the device and reads no K twice.
TEST_P(BytesOfAStep, use_moves_what_off_moves_and_corrects_on_the_device) {
  const Bytes d = 4, n = 7, k = 3;
  const RequestDecision row{RequestId(0), 10, 1, d, n, 1, k, SlotId(0), n};
  const auto off = channels(build("hybridgen", row));
  const auto use = channels(build("hybridgen+use", row));
  for (const ChannelId id : {tiny_.pcie_up, tiny_.pcie_down, tiny_.pcie_duplex, tiny_.dram_channel}) {
    EXPECT_EQ(at(use, id), at(off, id));
  }
  EXPECT_EQ(at(use, tiny_.hbm_channel),
            at(off, tiny_.hbm_channel) + (L - 1) * (2 * H * Q + 2 * heads * k * 4));
}

TEST_P(BytesOfAStep, host_attention_moves_q_and_an_evicted_row_down_and_a_partial_up) {
  for (const Bytes d : {1, 4}) {
    const Bytes n = 11 - d;
    const auto bytes = channels(build("flexgen-cpu-attention", {RequestId(0), 10, 1, d, n, 1, 0}));
    const Bytes down = 4 * Q + 2 * r;    // the query; the evicted token's K and V
    const Bytes up = 4 * Q + 4 * heads;  // output and log-sum-exp, whatever the context
    EXPECT_EQ(at(bytes, tiny_.pcie_down), L * down);
    EXPECT_EQ(at(bytes, tiny_.pcie_up), L * up);
    EXPECT_EQ(at(bytes, tiny_.pcie_duplex), L * (down + up));
    EXPECT_EQ(at(bytes, tiny_.dram_channel), L * (down + 2 * n * r + up));
    EXPECT_EQ(at(bytes, tiny_.hbm_channel), weights_and_new_rows(1) + L * (down + 2 * d * r + 2 * up))
        << "what came up is written and read";
  }
}

TEST_P(BytesOfAStep, host_attention_by_semantic_placement_streams_v_from_cxl) {
  const Bytes d = 4, n = 7;
  const auto bytes = channels(build("flexgen-cpu-attention", {RequestId(0), 10, 1, d, n, 1, 0}, "semantic"));
  EXPECT_EQ(at(bytes, tiny_.cxl_channel), L * (r + n * r)) << "evicted V, attended V";
  EXPECT_EQ(at(bytes, tiny_.dram_channel), L * (4 * Q + r + n * r + 4 * Q + 4 * heads));
}

TEST_P(BytesOfAStep, host_attention_prefill_sends_all_but_the_newest_down) {
  const auto bytes = channels(build("flexgen-cpu-attention", {RequestId(0), 0, 10, 1, 9, 0, 0}));
  EXPECT_EQ(at(bytes, tiny_.pcie_down), L * 2 * 9 * r);
  EXPECT_EQ(at(bytes, tiny_.pcie_up), 0);
}

TEST_P(BytesOfAStep, semantic_placement_reads_v_rows_from_cxl_and_scans_k_in_dram) {
  const Bytes d = 4, n = 7, k = 3;
  const auto bytes =
      channels(build("hybridgen", {RequestId(0), 10, 1, d, n, 1, k, SlotId(0), n}, "semantic"));
  EXPECT_EQ(at(bytes, tiny_.cxl_channel), L * (r + heads * k * h)) << "evicted V, gathered V";
  EXPECT_EQ(at(bytes, tiny_.cxl_link), L * (r + heads * k * h));
  EXPECT_EQ(at(bytes, tiny_.dram_channel), L * (4 * Q + r + n * r + heads * k * h + heads * k * (4 + h)));
}

TEST_P(BytesOfAStep, k_in_cxl_scans_k_there_and_exchanges_in_dram) {
  const Bytes d = 4, n = 7, k = 3;
  const auto bytes =
      channels(build("hybridgen", {RequestId(0), 10, 1, d, n, 1, k, SlotId(0), n}, "k-in-cxl"));
  EXPECT_EQ(at(bytes, tiny_.cxl_channel), L * (r + n * r)) << "evicted K, scanned K";
  EXPECT_EQ(at(bytes, tiny_.dram_channel), L * (4 * Q + r + 2 * heads * k * h + heads * k * (4 + h)));
}

TEST_P(BytesOfAStep, threshold_moves_what_the_outcome_says) {
  const Bytes d = 4, n = 7;
  const Step step = build("hybridgen+threshold", {RequestId(0), 10, 1, d, n, 1, 3, SlotId(0), n});
  const std::vector<std::int64_t> counts = {4, 7, 12};  // rows over all heads, by layer
  const Bytes rows = 4 + 7 + 12;
  const auto bytes = channels(step, counts);
  EXPECT_EQ(at(bytes, tiny_.pcie_up), rows * (4 + h));
  EXPECT_EQ(at(bytes, tiny_.dram_channel), L * (4 * Q + 2 * r + n * r) + rows * (2 * h + 4 + h));
}

// A group's union of rows goes up once, with the logits of both heads; how many rows is an outcome.
TEST_P(BytesOfAStep, rows_by_kv_group_go_up_once_with_the_logits_of_all_heads) {
  const Bytes d = 4, n = 7, k = 3;
  const Step step =
      build("hybridgen", {RequestId(0), 10, 1, d, n, 1, k, SlotId(0), n}, "unified", {{"select_by", 1}});
  ASSERT_EQ(step.outcomes.size(), 3u);
  for (const Outcome& outcome : step.outcomes) {
    EXPECT_EQ(outcome.least, 2 * k) << "both heads of each of two groups choose the same";
    EXPECT_EQ(outcome.bound, 2 * 2 * k) << "or never the same";
  }
  const std::vector<std::int64_t> counts = {6, 9, 12};  // rows of both groups, by layer
  const Bytes rows = 6 + 9 + 12;
  const auto bytes = channels(step, counts);
  EXPECT_EQ(at(bytes, tiny_.pcie_up), rows * (2 * 4 + h));
  EXPECT_EQ(at(bytes, tiny_.dram_channel), L * (4 * Q + 2 * r + n * r) + rows * (2 * h + 2 * 4 + h));
  EXPECT_EQ(at(bytes, tiny_.hbm_channel),
            weights_and_new_rows(1) + L * (4 * Q + 2 * r + 2 * d * r) + 2 * rows * (2 * 4 + h));
}

TEST_P(BytesOfAStep, rows_by_kv_group_never_exceed_what_is_scanned) {
  const Step step =
      build("hybridgen", {RequestId(0), 10, 1, 4, 7, 1, 5, SlotId(0), 7}, "unified", {{"select_by", 1}});
  for (const Outcome& outcome : step.outcomes) EXPECT_EQ(outcome.bound, 2 * 7);
  const Step over = build("hybridgen+threshold", {RequestId(0), 10, 1, 4, 7, 1, 5, SlotId(0), 7}, "unified",
                          {{"select_by", 1}});
  for (const Outcome& outcome : over.outcomes) EXPECT_EQ(outcome.least, 2);
}

// One choice of a group: k rows per KV head, known before.
TEST_P(BytesOfAStep, rows_of_one_choice_per_kv_group_are_known) {
  const Bytes d = 4, n = 7, k = 3;
  const Step step =
      build("hybridgen", {RequestId(0), 10, 1, d, n, 1, k, SlotId(0), n}, "unified", {{"select_by", 2}});
  EXPECT_TRUE(step.outcomes.empty());
  const Bytes rows = L * 2 * k;
  const auto bytes = channels(step, {});
  EXPECT_EQ(at(bytes, tiny_.pcie_up), rows * (2 * 4 + h));
  EXPECT_EQ(at(bytes, tiny_.dram_channel), L * (4 * Q + 2 * r + n * r) + rows * (2 * h + 2 * 4 + h));
  EXPECT_EQ(at(bytes, tiny_.hbm_channel),
            weights_and_new_rows(1) + L * (4 * Q + 2 * r + 2 * d * r) + 2 * rows * (2 * 4 + h));
}

TEST_P(BytesOfAStep, flops_of_attention_are_causal) {
  // A query at position p sees p + 1 keys; each pair costs 2 x Q for the score and 2 x Q for the sum.
  const Step prefill = build("full-gpu", {RequestId(0), 0, 10, 10, 0, 0, 0});
  EXPECT_EQ(prefill.ops[2].traffic.flops.resolve({}), 4 * Q * (10 * 11 / 2));
  const Step decode = build("full-gpu", {RequestId(0), 10, 1, 11, 0, 0, 0});
  EXPECT_EQ(decode.ops[2].traffic.flops.resolve({}), 4 * Q * 11);
}

INSTANTIATE_TEST_SUITE_P(kv, BytesOfAStep,
                         testing::Values(KvDtype::f16, KvDtype::f32, KvDtype::bf16, KvDtype::int8),
                         [](const auto& test_info) { return std::string(name_of(test_info.param)); });

}  // namespace
}  // namespace hybridgen
