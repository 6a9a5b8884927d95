// Residency under placements that overflow into another memory, over random models, batches and capacities:
// never over a capacity, every row in exactly one memory, a layer's rows of K (or V) all in one, and no room
// left where another layer would have fitted.
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>
#include <ostream>

#include "core/driver/driver.hpp"
#include "core/residency/fits.hpp"
#include "tests/support/scripted_executor.hpp"
#include "tests/support/tiny_machine.hpp"
#include "tests/support/tiny_policy.hpp"

namespace hybridgen {
namespace {

int pick(int least, int most) {
  return *rc::gen::inRange(least, most + 1);
}

// The tiny machine with as much DRAM as chance will have it: from none of what host K and V need to all.
struct Tight {
  ModelShape model;
  WorkloadShape workload;
  Composition composition;
  Params params;
  Bytes everything = 0;      // what the host's memories hold together
  Bytes needed_in_dram = 0;  // for nothing to overflow
  Bytes array = 0;           // K, or V, of a layer
  test::TinyMachine tiny;

  MemoryPlan plan_on(const Machine& machine) const {
    return Policy(composition, {machine, model, KvDtype::f16, params}, workload).memory_plan();
  }
};

std::ostream& operator<<(std::ostream& out, const Tight& t) {
  out << t.composition.preset << " " << t.composition.placement << " layers " << t.model.layers << " batch "
      << t.workload.batch << " dram " << t.tiny.machine.tier(t.tiny.dram).capacity << " of " << t.everything;
  for (const RequestShape& each : t.workload.requests) {
    out << " " << each.prompt_tokens << "+" << each.new_tokens;
  }
  if (t.params.has("device_kv_tokens")) out << " device " << t.params.get("device_kv_tokens");
  return out;
}

Tight any_tight() {
  Tight t;
  t.model = test::tiny_model(pick(1, 6));
  t.model.kv_heads = pick(1, 3);
  t.model.query_heads = t.model.kv_heads * pick(1, 4);
  std::vector<RequestShape> requests;
  for (int i = pick(1, 6); i > 0; --i) requests.push_back({pick(1, 40), pick(1, 10)});
  t.workload = WorkloadShape(std::move(requests), pick(1, 4));
  t.composition = test::preset_composition(
      *rc::gen::element<std::string>("hybridgen", "flexgen", "flexgen-cpu-attention"));
  t.composition.placement = *rc::gen::element<std::string>("unified", "tier-order", "semantic");
  t.params = test::params_for(t.composition, {{"device_kv_tokens", pick(1, 30)}});
  const MemoryPlan roomy = t.plan_on(t.tiny.machine);
  t.needed_in_dram = roomy.needed(t.tiny.dram);
  t.everything = t.needed_in_dram + roomy.needed(t.tiny.cxl);
  Bytes movable = 0;
  for (const Reservation& r : roomy.reservations) {
    if (r.purpose != Purpose::host_k && r.purpose != Purpose::host_v) continue;
    t.array = r.bytes / t.model.layers;
    if (r.tier == t.tiny.dram) movable += r.bytes;
  }
  const Bytes taken_away = *rc::gen::inRange<Bytes>(0, movable + 1);
  t.tiny = test::TinyMachine({1 << 30, std::max<Bytes>(1, t.needed_in_dram - taken_away), 1 << 30});
  return t;
}

RC_GTEST_PROP(Overflow, any_capacity_is_filled_as_far_as_whole_layers_go, ()) {
  const Tight t = any_tight();
  RC_LOG() << t;
  const MemoryPlan plan = t.plan_on(t.tiny.machine);
  check_fits(t.tiny.machine, plan);
  RC_ASSERT(plan.needed(t.tiny.cxl) + plan.needed(t.tiny.dram) == t.everything);
  if (t.array == 0) return;  // no token ever lies on the host
  const Bytes in_dram = plan.needed(t.tiny.dram);
  const Bytes overflowed = t.needed_in_dram - in_dram;
  const Bytes unit = t.composition.placement == "unified" ? 2 * t.array : t.array;
  RC_ASSERT(overflowed % unit == 0);
  if (overflowed > 0) RC_ASSERT(in_dram + unit > t.tiny.machine.tier(t.tiny.dram).capacity);
  for (int layer = 1; layer < t.model.layers; ++layer) {  // what comes after an overflow overflows
    if (plan.host_k(layer) == t.tiny.dram) RC_ASSERT(plan.host_k(layer - 1) == t.tiny.dram);
    if (plan.host_v(layer) == t.tiny.dram) RC_ASSERT(plan.host_v(layer - 1) == t.tiny.dram);
  }
}

RC_GTEST_PROP(Overflow, every_row_lies_in_one_memory_and_none_over_its_capacity, ()) {
  const Tight t = any_tight();
  RC_LOG() << t;
  Policy policy(t.composition, {t.tiny.machine, t.model, KvDtype::f16, t.params}, t.workload);
  const MemoryPlan& plan = policy.memory_plan();
  test::ScriptedExecutor executor(t.tiny.machine);
  Driver driver(t.tiny.machine, t.model, t.workload, policy, executor);
  while (driver.advance()) {
    for (const Tier& tier : t.tiny.machine.tiers()) {
      RC_ASSERT(driver.residency().used(tier.id) <= std::min(plan.needed(tier.id), tier.capacity));
    }
    for (const RequestView& request : driver.requests()) {
      for (const KvHalf half : {KvHalf::k, KvHalf::v}) {
        std::int64_t in_dram = 0;
        for (int layer = 0; layer < t.model.layers; ++layer) {
          in_dram += (half == KvHalf::k ? plan.host_k(layer) : plan.host_v(layer)) == t.tiny.dram ? 1 : 0;
        }
        const auto rows = [&](TierId tier) { return driver.residency().rows(request.id, half, tier); };
        RC_ASSERT(rows(t.tiny.hbm) == t.model.layers * request.device_tokens);
        RC_ASSERT(rows(t.tiny.dram) == in_dram * request.host_tokens);
        RC_ASSERT(rows(t.tiny.cxl) == (t.model.layers - in_dram) * request.host_tokens);
      }
    }
  }
}

// By hand: two query heads per KV head, rows of 20 bytes, 12 tokens on the host at most, 3 layers, so an
// array of K or V takes 240 bytes.
class OverflowByHand : public testing::Test {
 protected:
  MemoryPlan plan(const std::string& placement, Bytes arrays_of_dram) const {
    const WorkloadShape one(1, 10, 6);
    Composition composition = test::preset_composition("hybridgen");
    composition.placement = placement;
    const Params params = test::params_for(composition, {{"device_kv_tokens", 3}});
    const auto on = [&](const test::TinyMachine& tiny) {
      return Policy(composition, {tiny.machine, model_, KvDtype::f16, params}, one).memory_plan();
    };
    const MemoryPlan roomy = on(tiny_);
    Bytes others = roomy.needed(tiny_.dram);
    for (const Reservation& r : roomy.reservations) {
      if (r.tier == tiny_.dram && (r.purpose == Purpose::host_k || r.purpose == Purpose::host_v)) {
        others -= r.bytes;
      }
    }
    return on(test::TinyMachine({1 << 30, others + arrays_of_dram * kArray + kArray - 1, 1 << 30}));
  }
  static std::string memories(const MemoryPlan& plan) {  // "Dd": K of a layer in DRAM, its V too; c: CXL
    std::string text;
    for (int layer = 0; layer < 3; ++layer) {
      text += plan.host_k(layer) == TierId(1) ? 'D' : 'C';
      text += plan.host_v(layer) == TierId(1) ? 'd' : 'c';
    }
    return text;
  }

  static constexpr Bytes kArray = 12 * 20;
  const test::TinyMachine tiny_;
  const ModelShape model_ = test::tiny_model(3);
};

TEST_F(OverflowByHand, unified_keeps_k_and_v_of_a_layer_together) {
  EXPECT_EQ(memories(plan("unified", 6)), "DdDdDd");
  EXPECT_EQ(memories(plan("unified", 5)), "DdDdCc");
  EXPECT_EQ(memories(plan("unified", 3)), "DdCcCc");
  EXPECT_EQ(memories(plan("unified", 1)), "CcCcCc");
}

TEST_F(OverflowByHand, tier_order_takes_array_after_array) {
  EXPECT_EQ(memories(plan("tier-order", 6)), "DdDdDd");
  EXPECT_EQ(memories(plan("tier-order", 5)), "DdDdDc");
  EXPECT_EQ(memories(plan("tier-order", 3)), "DdDcCc");
  EXPECT_EQ(memories(plan("tier-order", 0)), "CcCcCc");
}

TEST_F(OverflowByHand, semantic_sends_k_after_v_only_where_dram_is_full) {
  EXPECT_EQ(memories(plan("semantic", 3)), "DcDcDc");
  EXPECT_EQ(memories(plan("semantic", 2)), "DcDcCc");
  EXPECT_EQ(memories(plan("semantic", 0)), "CcCcCc");
}

TEST_F(OverflowByHand, the_wrong_way_round_does_not_overflow) {
  EXPECT_EQ(memories(plan("k-in-cxl", 3)), "CdCdCd");
  EXPECT_EQ(memories(plan("k-in-cxl", 2)), "CdCdCd") << "and does not fit";
}

// Of a memory plan of one reservation each: nothing is planned twice, nothing in no memory.
TEST_F(OverflowByHand, reservations_are_of_whole_arrays) {
  const MemoryPlan partly = plan("tier-order", 3);
  std::map<std::pair<TierId, Purpose>, Bytes> reserved;
  for (const Reservation& r : partly.reservations) reserved[{r.tier, r.purpose}] += r.bytes;
  EXPECT_EQ((reserved[{tiny_.dram, Purpose::host_k}]), 2 * kArray);
  EXPECT_EQ((reserved[{tiny_.dram, Purpose::host_v}]), kArray);
  EXPECT_EQ((reserved[{tiny_.cxl, Purpose::host_k}]), kArray);
  EXPECT_EQ((reserved[{tiny_.cxl, Purpose::host_v}]), 2 * kArray);
}

}  // namespace
}  // namespace hybridgen
