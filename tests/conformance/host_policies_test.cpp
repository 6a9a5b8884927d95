// Every policy on the real executor with a tiny model: what must be exact is, what must differ does.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/machine/tiles.hpp"
#include "tests/support/host_world.hpp"

namespace hybridgen::testing {
namespace {

class HostPolicies : public ::testing::Test {
 protected:
  // Teacher-forced, so that runs stay comparable position by position.
  HostRun run(const PolicyChoice& choice, int prompt = 60, int new_tokens = 24, int batch = 1) {
    TokenFeed feed;
    for (int i = 0; i < batch; ++i) {
      feed.prompts.push_back(prompt_of(prompt, 200, 11 + static_cast<std::uint32_t>(i)));
      feed.forced.push_back(prompt_of(new_tokens, 200, 99 + static_cast<std::uint32_t>(i)));
    }
    return run_on_host(machine_, model_, choice, {batch, prompt, new_tokens, false}, std::move(feed));
  }

  PolicyChoice hybridgen(int device_tokens, Ppm ratio, KvDtype dtype) {
    return {"hybridgen", {{"device_kv_tokens", device_tokens}, {"topk_ratio", ratio}}, {}, dtype};
  }

  Machine machine_ = host_machine();
  std::shared_ptr<const HostModel> model_ = tiny_model();
};

// Seven requests through two slots; the second token of the first is the end token for all.
TEST_F(HostPolicies, EndTokenMakesRoom_everyPresetTokensOfTheSingleRuns) {
  const std::vector<RequestShape> shapes = {{40, 12}, {7, 9}, {33, 3}, {1, 14}, {52, 1}, {20, 6}, {3, 5}};
  const auto feed_of = [&](const std::vector<std::size_t>& which) {
    TokenFeed feed;
    for (const std::size_t i : which) {
      feed.prompts.push_back(
          prompt_of(static_cast<int>(shapes[i].prompt_tokens), 200, 31 + static_cast<std::uint32_t>(i)));
    }
    return feed;
  };
  for (const PolicyChoice& choice :
       {PolicyChoice{"full-gpu", {}, {}, KvDtype::f32}, PolicyChoice{"flexgen", {}, {}, KvDtype::f32},
        hybridgen(9, 300'000, KvDtype::f32)}) {
    SCOPED_TRACE(choice.preset);
    const std::int32_t end = run_on_host(machine_, model_, choice, {1, 40, 2}, feed_of({0})).tokens[0].back();
    const auto ending = [&](const std::vector<std::size_t>& which, int batch) {
      std::vector<RequestShape> some;
      for (const std::size_t i : which) some.push_back(shapes[i]);
      TokenFeed feed = feed_of(which);
      feed.end_tokens = {end};
      return run_on_host(machine_, model_, choice, {some, batch, true}, std::move(feed));
    };
    const HostRun together = ending({0, 1, 2, 3, 4, 5, 6}, 2);
    EXPECT_EQ(together.tokens[0].size(), 42u);
    for (std::size_t i = 0; i < shapes.size(); ++i)
      EXPECT_EQ(together.tokens[i], ending({i}, 1).tokens[0]) << i;
    // The third request starts in the first one's slot, right after the step that ended it.
    EXPECT_EQ(together.timeline.steps[3].decision.rows[0].request, RequestId(2));
    EXPECT_EQ(together.timeline.steps[3].decision.rows[0].slot,
              together.timeline.steps[0].decision.rows[0].slot);
  }
}

// What goes through the projections in tiles is what goes through them token by token.
TEST_F(HostPolicies, Prefill_longerThanATile_logitsOfDecodingTheLastTokens) {
  const int tokens = static_cast<int>(kTileTokens) + 30;
  const std::vector<std::int32_t> text = prompt_of(tokens, 200, 17);
  const auto last_logits = [&](int prompt) {
    TokenFeed feed;
    feed.prompts = {{text.begin(), text.begin() + prompt}};
    feed.forced = {{text.begin() + prompt, text.end()}};
    feed.forced[0].push_back(1);
    const WorkloadShape workload{1, prompt, tokens - prompt + 1, false};
    const HostRun run = run_on_host(machine_, model_, {"full-gpu", {}, {}, KvDtype::f32}, workload, feed);
    return run.logits[0].at(tokens - 1);
  };
  const std::vector<float> whole = last_logits(tokens);
  const std::vector<float> decoded = last_logits(static_cast<int>(kTileTokens) - 10);
  float largest = 0;
  for (std::size_t i = 0; i < whole.size(); ++i) largest = std::max(largest, std::abs(whole[i] - decoded[i]));
  EXPECT_LT(largest, 1e-3F);
}

TEST_F(HostPolicies, Flexgen_anyLength_logitsEqualFullGpu) {
  const HostRun full = run({"full-gpu", {}, {}, KvDtype::f32});
  const HostRun streamed = run({"flexgen", {}, {}, KvDtype::f32});
  EXPECT_LT(largest_difference(full, streamed), 1e-5F);
}

TEST_F(HostPolicies, HostAttention_anyShareOfTheDevice_logitsEqualFullGpu) {
  const HostRun full = run({"full-gpu", {}, {}, KvDtype::f32});
  EXPECT_LT(largest_difference(full, run({"flexgen-cpu-attention", {}, {}, KvDtype::f32})), 1e-4F);
  for (const int device_tokens : {1, 7, 30, 61, 500}) {
    const HostRun shared = run(
        {"flexgen-cpu-attention", {{"device_kv_tokens", device_tokens}}, {{"split", "fixed"}}, KvDtype::f32});
    EXPECT_LT(largest_difference(full, shared), 1e-4F) << device_tokens << " device tokens";
  }
}

// bf16 keeps 8 bits of the mantissa where fp16 keeps 11: an error that is seen, and stays of that size.
TEST_F(HostPolicies, Bf16Kv_everyWayToAttend_closeToFp32AndAsManyBytesAsFp16) {
  const auto dtypes = [&](PolicyChoice choice) {
    choice.kv_dtype = KvDtype::f32;
    const HostRun exact = run(choice);
    choice.kv_dtype = KvDtype::f16;
    const HostRun half = run(choice);
    choice.kv_dtype = KvDtype::bf16;
    const HostRun brain = run(choice);
    EXPECT_LT(largest_difference(exact, brain), 0.02F) << choice.preset;
    EXPECT_GT(largest_difference(exact, brain), 2 * largest_difference(exact, half)) << choice.preset;
    EXPECT_EQ(half.timeline.tier_peak_bytes, brain.timeline.tier_peak_bytes) << choice.preset;
    ASSERT_EQ(half.timeline.steps.size(), brain.timeline.steps.size());
    for (std::size_t s = 0; s < half.timeline.steps.size(); ++s) {
      EXPECT_EQ(half.timeline.steps[s].channel_bytes, brain.timeline.steps[s].channel_bytes) << choice.preset;
    }
  };
  dtypes({"full-gpu", {}, {}, KvDtype::bf16});
  dtypes({"flexgen", {}, {}, KvDtype::bf16});
  dtypes({"flexgen-cpu-attention", {}, {}, KvDtype::bf16});
  dtypes(hybridgen(20, kPpmOne, KvDtype::bf16));
}

// int8 rounds by 1/254 of a row's largest, bf16 by at most 1/256 of the value itself, a few times less for
// most of them. The same rows, whichever way they are read, give the same.
TEST_F(HostPolicies, Int8Kv_everyWayToAttend_closeToFp32AndLogitsEqualFullGpu) {
  const HostRun exact = run({"full-gpu", {}, {}, KvDtype::f32});
  const HostRun full = run({"full-gpu", {}, {}, KvDtype::int8});
  const float of_bf16 = largest_difference(exact, run({"full-gpu", {}, {}, KvDtype::bf16}));
  EXPECT_GT(largest_difference(exact, full), of_bf16);
  EXPECT_LT(largest_difference(exact, full), 8 * of_bf16);
  EXPECT_LT(largest_difference(full, run({"flexgen", {}, {}, KvDtype::int8})), 1e-5F);
  EXPECT_LT(largest_difference(full, run({"flexgen-cpu-attention", {}, {}, KvDtype::int8})), 1e-4F);
  EXPECT_LT(largest_difference(full, run(hybridgen(20, kPpmOne, KvDtype::int8))), 1e-4F);
}

// Longer than two grains of the host's scan, so that threads get shares of their own.
TEST_F(HostPolicies, HostAttention_severalThreadsAndGrains_logitsEqualFullGpu) {
  const HostRun full = run({"full-gpu", {}, {}, KvDtype::f32}, 450, 6);
  for (const int threads : {1, 2, 3}) {
    machine_ = host_machine(threads);
    const PolicyChoice choice{"flexgen-cpu-attention", {}, {}, KvDtype::f32};
    EXPECT_LT(largest_difference(full, run(choice, 450, 6)), 1e-4F) << threads << " threads";
  }
}

// Two KV heads on three threads: heads are cut, and their parts joined. 430 rows on the host, of which half
// go up: every loop of a selection for a group has shares for all of them.
TEST_F(HostPolicies, EveryAttention_severalThreads_logitsEqualThoseOfOne) {
  PolicyChoice by_group = hybridgen(20, 500'000, KvDtype::f32), by_best = by_group;
  by_group.params["select_by"] = 1;
  by_best.params["select_by"] = 2;
  for (const PolicyChoice& choice :
       {PolicyChoice{"full-gpu", {}, {}, KvDtype::f32}, hybridgen(200, 300'000, KvDtype::f32), by_group,
        by_best,
        PolicyChoice{
            "flexgen-cpu-attention", {{"device_kv_tokens", 250}}, {{"split", "fixed"}}, KvDtype::f32}}) {
    machine_ = host_machine(1);
    const HostRun one = run(choice, 450, 6);
    for (const int threads : {2, 3}) {
      machine_ = host_machine(threads);
      EXPECT_LT(largest_difference(one, run(choice, 450, 6)), 1e-4F)
          << choice.preset << ", " << threads << " threads";
    }
  }
}

TEST_F(HostPolicies, Hybridgen_allRowsFp32_logitsEqualFullGpuAtEveryStep) {
  const HostRun full = run({"full-gpu", {}, {}, KvDtype::f32});
  for (const int device_tokens : {1, 7, 30, 61, 500}) {
    const HostRun split = run(hybridgen(device_tokens, kPpmOne, KvDtype::f32));
    EXPECT_LT(largest_difference(full, split), 1e-3F) << device_tokens << " device tokens";
  }
}

TEST_F(HostPolicies, Hybridgen_allButOneRow_differsMeasurably) {
  const HostRun all = run(hybridgen(20, kPpmOne, KvDtype::f32));
  const HostRun fewer = run(hybridgen(20, 990'000, KvDtype::f32));  // floor(.99 x 41..64) = all but one
  EXPECT_GT(largest_difference(all, fewer), 1e-4F);
  EXPECT_EQ(all.timeline.steps[5].structure, fewer.timeline.steps[5].structure);
}

TEST_F(HostPolicies, Hybridgen_selectAll_equalsTopKOfRatioOne) {
  PolicyChoice all = hybridgen(20, kPpmOne, KvDtype::f16);
  all.parts["select"] = "all";
  all.params.erase("topk_ratio");
  EXPECT_EQ(largest_difference(run(all), run(hybridgen(20, kPpmOne, KvDtype::f16))), 0.0F);
}

TEST_F(HostPolicies, Threshold_wideAlpha_selectsUpToBoundAndReportsCount) {
  PolicyChoice wide = hybridgen(20, kPpmOne, KvDtype::f32);
  wide.parts["select"] = "threshold";
  wide.params = {{"device_kv_tokens", 20}, {"alpha", 1'000'000}, {"max_rows_ratio", kPpmOne}};
  const HostRun run_wide = run(wide);
  EXPECT_LT(largest_difference(run_wide, run({"full-gpu", {}, {}, KvDtype::f32})), 1e-3F);
  const StepEvent& step = run_wide.timeline.steps[3];
  ASSERT_EQ(step.outcomes.size(), 3U);  // one per layer
  EXPECT_EQ(step.outcomes[0].count, 6 * step.decision.rows[0].host_tokens);

  PolicyChoice narrow = wide;
  narrow.params["alpha"] = 50;
  const HostRun run_narrow = run(narrow);
  EXPECT_LT(run_narrow.timeline.steps[3].outcomes[0].count, step.outcomes[0].count);
  EXPECT_GE(run_narrow.timeline.steps[3].outcomes[0].count, 6);
}

// Prompt and new tokens end within a page, so that the last one is partial at every step but some.
TEST_F(HostPolicies, Quest_budgetOfEverythingFp32_logitsEqualFullGpuByTheSameOps) {
  const HostRun full = run({"full-gpu", {}, {}, KvDtype::f32});
  const HostRun all = run({"quest", {{"budget_tokens", 96}, {"dense_layers", 0}}, {}, KvDtype::f32});
  EXPECT_LT(largest_difference(full, all), 1e-4F);
  const HostRun few = run({"quest", {{"budget_tokens", 32}, {"dense_layers", 0}}, {}, KvDtype::f32});
  EXPECT_GT(largest_difference(full, few), 1e-3F);
  for (std::size_t step = 0; step < all.timeline.steps.size(); ++step)
    EXPECT_EQ(all.timeline.steps[step].structure, few.timeline.steps[step].structure);
}

// The bytes of a decode step, from the shape and the context alone: 6 query and 2 KV heads of 16 fp16
// channels.
TEST_F(HostPolicies, Quest_decodeStep_readsBoundsOfEveryEarlierPageAndTheBudgetsRows) {
  const HostRun quest = run({"quest", {{"budget_tokens", 32}}, {}, KvDtype::f16});
  for (const StepEvent& step : quest.timeline.steps) {
    const Tokens position = step.decision.rows[0].first_position;
    if (position == 0) continue;
    const Bytes pages = position / 16, own = position % 16 + 1, row = 2 * 16 * 2, head_row = 16 * 2;
    for (const OpEvent& op : step.ops) {
      if (op.kind == OpKind::page_bounds) {
        EXPECT_EQ(op.bytes, row + (own == 1 ? 2 : 4) * row);
      } else if (op.kind == OpKind::select_pages) {
        EXPECT_EQ(op.bytes, 2 * pages * row);
      } else if (op.kind == OpKind::attend_pages) {
        EXPECT_EQ(op.bytes, 2 * 6 * (16 + own) * head_row);
      }
      if (op.kind == OpKind::attend) {
        EXPECT_LT(op.layer, 2) << "the first two layers alone read everything";
      }
    }
  }
}

TEST_F(HostPolicies, Infinigen_everyRowPassesFp32_logitsEqualFullGpuByTheSameOps) {
  const HostRun full = run({"full-gpu", {}, {}, KvDtype::f32});
  const auto infinigen = [&](std::int64_t budget, std::int64_t alpha) {
    return run(
        {"infinigen", {{"budget_tokens", budget}, {"alpha", alpha}, {"whole_layers", 1}}, {}, KvDtype::f32});
  };
  const HostRun all = infinigen(500, 1'000'000);
  EXPECT_LT(largest_difference(full, all), 1e-4F);
  for (const StepEvent& step : all.timeline.steps) {
    for (const OutcomeEvent& outcome : step.outcomes)
      EXPECT_EQ(outcome.count, 6 * step.decision.rows[0].first_position);
  }
  const HostRun few = infinigen(9, 1'000'000);
  EXPECT_GT(largest_difference(full, few), 1e-3F);
  for (std::size_t step = 0; step < all.timeline.steps.size(); ++step)
    EXPECT_EQ(all.timeline.steps[step].structure, few.timeline.steps[step].structure);
}

TEST_F(HostPolicies, Infinigen_narrowAlpha_fetchesFewerRowsThanTheBudget) {
  const auto rows = [&](std::int64_t alpha) {
    const HostRun infinigen = run({"infinigen", {{"budget_tokens", 40}, {"alpha", alpha}}, {}, KvDtype::f16});
    return infinigen.timeline.steps[5].outcomes.at(0).count;
  };
  EXPECT_EQ(rows(1'000'000), 6 * 40);
  EXPECT_LT(rows(5), 6 * 40);
  EXPECT_GE(rows(0), 6) << "the largest of every head at least";
  EXPECT_EQ(rows(5) % 6, 0) << "equally many for every head";
}

// A pool of every token is no pool; a smaller one keeps no more than it says.
TEST_F(HostPolicies, Infinigen_boundedPool_readsOtherRowsInLessMemory) {
  const auto pooled = [&](Tokens pool, int evict, std::int64_t budget) {
    return run(
        {"infinigen",
         {{"budget_tokens", budget}, {"alpha", 1'000'000}, {"pool_tokens", pool}, {"pool_evict", evict}},
         {},
         KvDtype::f32});
  };
  const HostRun full = run({"full-gpu", {}, {}, KvDtype::f32});
  EXPECT_LT(largest_difference(full, pooled(100, 2, 500)), 1e-4F);
  for (const int evict : {0, 1, 2}) {
    const HostRun bounded = pooled(64, evict, 500);
    EXPECT_GT(largest_difference(full, bounded), 1e-4F);
    for (const StepEvent& step : bounded.timeline.steps) {
      for (const OutcomeEvent& outcome : step.outcomes)
        EXPECT_EQ(outcome.count, 6 * std::min<Tokens>(step.decision.rows[0].first_position, 64));
    }
  }
  // One layer of three chooses rows; K and V of a row are 2 heads x 16 x 4 bytes each. The exchange is that
  // of the budget in either case.
  const auto dram = machine_.tier_of(TierKind::dram)->index();
  EXPECT_EQ(
      pooled(0, 2, 40).timeline.tier_peak_bytes[dram] - pooled(64, 2, 40).timeline.tier_peak_bytes[dram],
      2 * (83 - 64) * 2 * 16 * 4);
}

TEST_F(HostPolicies, Batch_twoRequests_eachEqualsItsOwnSingleRun) {
  for (const PolicyChoice& choice :
       {PolicyChoice{"full-gpu", {}, {}, KvDtype::f32}, PolicyChoice{"flexgen", {}, {}, KvDtype::f32},
        PolicyChoice{"flexgen-cpu-attention", {}, {}, KvDtype::f32}, hybridgen(20, 100'000, KvDtype::f32),
        PolicyChoice{"quest", {{"budget_tokens", 32}, {"dense_layers", 1}}, {}, KvDtype::f32},
        PolicyChoice{"infinigen", {{"budget_tokens", 20}, {"whole_layers", 1}}, {}, KvDtype::f32}}) {
    const HostRun both = run(choice, 60, 12, 2);
    float largest = 0;
    for (std::uint32_t i = 0; i < 2; ++i) {
      TokenFeed feed;
      feed.prompts.push_back(prompt_of(60, 200, 11 + i));
      feed.forced.push_back(prompt_of(12, 200, 99 + i));
      const HostRun alone = run_on_host(machine_, model_, choice, {1, 60, 12, false}, std::move(feed));
      for (const auto& [position, logits] : alone.logits[0]) {
        const auto& other = both.logits[i].at(position);
        for (std::size_t j = 0; j < logits.size(); ++j) {
          largest = std::max(largest, std::abs(logits[j] - other[j]));
        }
      }
    }
    EXPECT_LT(largest, 1e-3F) << choice.preset;
  }
}

TEST_F(HostPolicies, EndOfSequence_sampledToken_endsTheRequest) {
  TokenFeed feed;
  feed.prompts = {prompt_of(30, 200, 5)};
  feed.forced = {{10, 11, 12, 13, 14, 15, 16, 17}};
  feed.end_tokens = {12};
  const HostRun run =
      run_on_host(machine_, model_, {"full-gpu", {}, {}, KvDtype::f16}, {1, 30, 8, true}, feed);
  EXPECT_EQ(run.timeline.steps.size(), 3U);
  EXPECT_EQ(run.tokens[0].back(), 12);
}

TEST_F(HostPolicies, Team_twoThreadsPerLane_sameLogits) {
  const HostRun one = run(hybridgen(20, 300'000, KvDtype::f16));
  machine_ = host_machine(2);
  EXPECT_LT(largest_difference(one, run(hybridgen(20, 300'000, KvDtype::f16))), 1e-4F);
}

TEST_F(HostPolicies, Placement_semantic_sameLogitsOtherTier) {
  machine_ = host_machine(1, true);
  const HostRun unified = run(hybridgen(20, 300'000, KvDtype::f16));
  PolicyChoice choice = hybridgen(20, 300'000, KvDtype::f16);
  choice.parts["placement"] = "semantic";
  const HostRun semantic = run(choice);
  EXPECT_EQ(largest_difference(unified, semantic), 0.0F);
  EXPECT_GT(semantic.timeline.tier_peak_bytes.at(2), 0);
  EXPECT_EQ(unified.timeline.tier_peak_bytes.at(2), 0);
}

TEST_F(HostPolicies, Placement_interleave_sameLogitsInTheInterleavedTierAlone) {
  machine_ = host_machine(1, true);
  const HostRun unified = run(hybridgen(20, 300'000, KvDtype::f16));
  PolicyChoice choice = hybridgen(20, 300'000, KvDtype::f16);
  choice.parts["placement"] = "interleave";
  const HostRun interleaved = run(choice);
  EXPECT_EQ(largest_difference(unified, interleaved), 0.0F);
  EXPECT_EQ(interleaved.timeline.tier_peak_bytes.at(1), 0);
  EXPECT_EQ(interleaved.timeline.tier_peak_bytes.at(3), unified.timeline.tier_peak_bytes.at(1));
}

// 84 tokens x 3 layers x 64 bytes of V, over a channel of 1 MB/s: the prompt alone takes 7.7 ms.
TEST_F(HostPolicies, EmulatedTier_slowChannel_opsTakeAsLongAsItsBandwidthSays) {
  PolicyChoice choice = hybridgen(20, 300'000, KvDtype::f16);
  choice.parts["placement"] = "semantic";
  Machine slow("slow");
  {
    const Machine fast = host_machine(1, true);
    for (const Channel& channel : fast.channels()) {
      slow.add_channel(channel.name, channel.kind, channel.name == "cxl" ? 1e6 : channel.bytes_per_s);
    }
    for (const Tier& tier : fast.tiers()) {
      if (tier.kind != TierKind::interleaved) {
        slow.add_tier(tier.name, tier.kind, tier.capacity, tier.channel, tier.emulated);
      }
    }
    for (const Processor& each : fast.processors())
      slow.add_processor(each.name, each.kind, fast.costs(each.id));
    for (const Lane& lane : fast.lanes())
      slow.add_lane(lane.name, lane.processor, lane.threads, lane.first_core);
    for (const Role role : {Role::device, Role::host, Role::h2d, Role::d2h})
      slow.set_role(role, fast.lane_of(role));
    slow.set_access_links(ProcessorId(0), TierId(0), {});
    for (const int tier : {1, 2}) {
      slow.set_access_links(ProcessorId(1), TierId(tier), {});
      slow.set_copy_links(TierId(0), TierId(tier), {ChannelId(2)});
      slow.set_copy_links(TierId(tier), TierId(0), {ChannelId(1)});
    }
  }
  machine_ = std::move(slow);
  const HostRun held = run(choice);
  int checked = 0;
  for (const StepEvent& step : held.timeline.steps) {
    for (const OpEvent& op : step.ops) {
      if (op.kind != OpKind::offload_kv) continue;
      // K and V go down, V over the slow channel: a nanosecond is a thousandth of a byte.
      EXPECT_GE(op.end - op.start, op.bytes / 2 * 1000) << "step " << step.decision.step.value;
      ++checked;
    }
  }
  EXPECT_EQ(checked, 24 * 3);
}

}  // namespace
}  // namespace hybridgen::testing
