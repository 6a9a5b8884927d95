// Residency under placements that fill memories in order, over random models, batches and capacities: never
// over a capacity, every row in exactly one memory, all of a layer's host rows in one.
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

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

RC_GTEST_PROP(TierOrder, any_capacity_holds_and_every_row_lies_in_one_memory, ()) {
  ModelShape model = test::tiny_model(pick(1, 6));
  model.kv_heads = pick(1, 3);
  model.query_heads = model.kv_heads * pick(1, 4);
  std::vector<RequestShape> requests;
  for (int i = pick(1, 6); i > 0; --i) requests.push_back({pick(1, 40), pick(1, 10)});
  const WorkloadShape workload(std::move(requests), pick(1, 4));
  Composition composition =
      find_preset(*rc::gen::element<std::string>("hybridgen", "flexgen", "flexgen-cpu-attention"))
          ->composition;
  composition.placement = "tier-order";
  const Params params = test::params_for(composition, {{"device_kv_tokens", pick(1, 30)}});
  const auto plan_on = [&](const Machine& machine) {
    return Policy(composition, {machine, model, KvDtype::f16, params}, workload).memory_plan();
  };
  const test::TinyMachine roomy;
  const Bytes most = plan_on(roomy.machine).needed(roomy.dram);
  Bytes kv = 0;
  for (const Reservation& r : plan_on(roomy.machine).reservations) {
    kv += r.purpose == Purpose::host_k || r.purpose == Purpose::host_v ? r.bytes : 0;
  }
  const test::TinyMachine tight(
      {1 << 30, std::max<Bytes>(1, most - *rc::gen::inRange<Bytes>(0, kv + 1)), 1 << 30});
  Policy policy(composition, {tight.machine, model, KvDtype::f16, params}, workload);
  const MemoryPlan& plan = policy.memory_plan();
  check_fits(tight.machine, plan);
  RC_ASSERT(plan.needed(tight.cxl) + plan.needed(tight.dram) == most);
  RC_ASSERT(plan.overflow_layer == model.layers || plan.needed(tight.cxl) > 0 || kv == 0);

  test::ScriptedExecutor executor(tight.machine);
  Driver driver(tight.machine, model, workload, policy, executor);
  while (driver.advance()) {
    for (const Tier& tier : tight.machine.tiers()) {
      RC_ASSERT(driver.residency().used(tier.id) <= plan.needed(tier.id));
    }
    for (const RequestView& request : driver.requests()) {
      for (const KvHalf half : {KvHalf::k, KvHalf::v}) {
        const auto rows = [&](TierId tier) { return driver.residency().rows(request.id, half, tier); };
        RC_ASSERT(rows(tight.hbm) == model.layers * request.device_tokens);
        RC_ASSERT(rows(tight.dram) == plan.overflow_layer * request.host_tokens);
        RC_ASSERT(rows(tight.cxl) == (model.layers - plan.overflow_layer) * request.host_tokens);
      }
    }
  }
}

}  // namespace
}  // namespace hybridgen
