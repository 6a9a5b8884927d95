// Properties over random models, lengths, splits and batches: no token is lost or lies in two segments, no
// tier holds more than the plan reserved, context = device + host, evictions only go one way.
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <ostream>

#include "core/driver/driver.hpp"
#include "tests/support/scripted_executor.hpp"
#include "tests/support/tiny_machine.hpp"
#include "tests/support/tiny_policy.hpp"

namespace hybridgen {
namespace {

struct Case {
  std::string policy;
  ModelShape model;
  WorkloadShape workload;
  std::map<std::string, std::int64_t> params;
  KvDtype kv_dtype = KvDtype::f16;
  std::uint64_t seed = 0;
};

std::ostream& operator<<(std::ostream& out, const Case& c) {
  out << c.policy << " layers=" << c.model.layers << " heads=" << c.model.query_heads << "/"
      << c.model.kv_heads << "x" << c.model.head_dim << " batch=" << c.workload.batch << " requests=";
  for (const RequestShape& request : c.workload.requests) {
    out << request.prompt_tokens << "+" << request.new_tokens << ",";
  }
  out << " stop=" << c.workload.stop_at_end_of_sequence << " seed=" << c.seed;
  for (const auto& [name, value] : c.params) out << " " << name << "=" << value;
  return out;
}

int pick(int least, int most) {
  return *rc::gen::inRange(least, most + 1);
}

Case any_case() {
  Case c;
  std::vector<std::string> names = {"hybridgen+threshold"};
  for (const PresetEntry& preset : preset_registry()) names.push_back(preset.name);
  c.policy = *rc::gen::elementOf(names);
  c.model = test::tiny_model(pick(1, 5));
  c.model.kv_heads = pick(1, 3);
  c.model.query_heads = c.model.kv_heads * pick(1, 4);
  c.model.head_dim = pick(1, 9);
  c.model.hidden = pick(1, 20);
  c.model.ffn = pick(1, 20);
  c.model.vocab = pick(2, 50);
  std::vector<RequestShape> requests;
  for (int i = pick(1, 9); i > 0; --i) requests.push_back({pick(1, 50), pick(1, 16)});
  c.workload = {std::move(requests), pick(1, 10), *rc::gen::arbitrary<bool>()};
  const Ppm ratio = *rc::gen::inRange<Ppm>(0, kPpmOne + 1);
  c.params = {{"device_kv_tokens", pick(1, 70)},
              {"topk_ratio", ratio},
              {"max_rows_ratio", ratio},
              {"budget_tokens", pick(6, 70)},
              {"sink_tokens", pick(0, 5)},
              {"observation_tokens", pick(1, 5)},
              {"generated", pick(0, 2)},
              {"page_tokens", pick(1, 6)},
              {"select_by", pick(0, c.policy == "hybridgen+threshold" ? 1 : 2)},
              {"whole_layers", pick(1, 3)},
              {"pool_tokens", pick(0, 70)}};
  c.kv_dtype = *rc::gen::element(KvDtype::f16, KvDtype::f32, KvDtype::bf16, KvDtype::int8);
  c.seed = *rc::gen::arbitrary<std::uint64_t>();
  return c;
}

// Any count within bounds, from the case's seed; a request ends about every eighth token.
test::ScriptedExecutor::Outcomes outcomes_of(const Case& c) {
  return [seed = c.seed](const Step& step, const Outcome& outcome) -> std::int64_t {
    Hash64 hash;
    hash.add(static_cast<std::int64_t>(seed));
    hash.add(step.id.value);
    hash.add(outcome.id.value);
    const std::uint64_t random = hash.value() >> 8;
    if (outcome.kind == OutcomeKind::end_of_sequence) return random % 8 == 0 ? 1 : 0;
    return outcome.least +
           static_cast<std::int64_t>(random % static_cast<std::uint64_t>(outcome.bound - outcome.least + 1));
  };
}

// Where each layer's tokens lie, by the token ranges of the ops alone: [sinks, sinks + host) on the host, the
// others of [0, context) on the device, if and only if the ops neither lose nor double a token. Of kept rows
// only the executor knows which they are: they are counted.
class Shadow {
 public:
  // sinks: first tokens that the device keeps of a request that has host tokens.
  Shadow(const Case& c, bool on_device, Tokens sinks)
      : layers_(c.workload.requests.size() * static_cast<std::size_t>(c.model.layers)),
        per_request_(static_cast<std::size_t>(c.model.layers)),
        on_device_(on_device),
        sinks_(sinks) {}

  void follow(const Step& step) {
    for (const Op& op : step.ops) {
      if (op.kind == OpKind::norm_qkv) {
        for (const BatchRow& row : step.batch) write(at(row.request, op.layer), row, op.work.kv);
      } else if (op.kind == OpKind::offload_kv || op.kind == OpKind::pool_row) {
        send_down(at(op.request, op.layer), op);
      } else if (op.kind == OpKind::keep_kv) {
        keep(at(op.request, op.layer), op);
      } else if (op.kind == OpKind::keep_rows) {
        Segments& s = at(op.request, op.layer);
        RC_ASSERT(op.work.tokens == s.staged_end - s.staged_begin);
        RC_ASSERT(op.work.rows_per_head <= op.work.tokens);
        s.kept = op.work.rows_per_head;
      } else if (op.kind == OpKind::evict_row && !op.work.evict) {
        ++at(op.request, op.layer).kept;
      } else if (op.kind == OpKind::attend_kept) {
        RC_ASSERT(op.work.tokens == at(op.request, op.layer).kept);
      }
    }
  }
  void compare(const RequestDecision& row) {
    for (int layer = 0; layer < static_cast<int>(per_request_); ++layer) {
      const Segments& s = at(row.request, layer);
      if (s.kept > 0) {
        RC_ASSERT(s.kept == row.device_tokens);
        continue;
      }
      const Tokens sinks = row.host_tokens > 0 ? sinks_ : 0;
      RC_ASSERT(s.sinks == sinks);
      RC_ASSERT(s.host_end == sinks + row.host_tokens);
      RC_ASSERT(s.device_begin == s.host_end);
      RC_ASSERT(sinks + s.device_end - s.device_begin == row.device_tokens);
      RC_ASSERT(s.device_end == row.first_position + row.query_tokens);
    }
  }

 private:
  struct Segments {
    Tokens sinks = 0;         // the device holds [0, sinks) for good
    Tokens host_end = 0;      // the host holds [sinks, host_end)
    Tokens device_begin = 0;  // the device holds [device_begin, device_end)
    Tokens device_end = 0;
    Tokens staged_begin = 0;  // staging holds new rows [staged_begin, staged_end)
    Tokens staged_end = 0;
    Tokens kept = 0;  // chosen rows
  };
  Segments& at(RequestId request, int layer) {
    return layers_.at(request.index() * per_request_ + static_cast<std::size_t>(layer));
  }
  void write(Segments& s, const BatchRow& row, KvPlace place) const {
    if (place == KvPlace::kept) {
      RC_ASSERT(s.kept > 0 && row.query_tokens == 1);
    } else if (place == KvPlace::segment) {
      RC_ASSERT(s.device_end == row.first_position);
      s.device_end += row.query_tokens;
    } else {
      s.staged_begin = row.first_position;
      s.staged_end = row.first_position + row.query_tokens;
    }
  }
  void send_down(Segments& s, const Op& op) const {
    if (s.host_end == 0) {  // the first that goes down leaves the sinks behind
      s.sinks = s.host_end = sinks_;
      if (op.work.kv == KvPlace::segment) s.device_begin = sinks_;
    }
    RC_ASSERT(op.work.first_token == s.host_end);  // in order, without a gap
    s.host_end += op.work.tokens;
    if (op.work.kv == KvPlace::segment) {
      RC_ASSERT(op.work.first_token == s.device_begin);
      s.device_begin += op.work.tokens;
      RC_ASSERT(s.device_begin <= s.device_end);
    } else {
      RC_ASSERT(s.staged_begin <= op.work.first_token && s.host_end <= s.staged_end);
      if (!on_device_) s.device_begin = s.device_end = s.host_end;
    }
  }
  void keep(Segments& s, const Op& op) const {
    RC_ASSERT(op.work.first_token >= s.staged_begin);
    if (op.work.first_token == 0 && s.host_end > 0) {
      RC_ASSERT(op.work.tokens == sinks_);
      return;
    }
    RC_ASSERT(op.work.first_token + op.work.tokens == s.staged_end);
    s.device_begin = op.work.first_token;
    s.device_end = s.staged_end;
  }

  std::vector<Segments> layers_;
  std::size_t per_request_;
  bool on_device_;  // the policy keeps a device segment
  Tokens sinks_;
};

struct World {
  explicit World(const Case& c)
      : policy(test::make_policy(tiny.machine, c.model, c.workload, c.policy, c.params, c.kv_dtype)),
        executor(tiny.machine, outcomes_of(c)),
        driver(tiny.machine, c.model, c.workload, policy, executor) {}
  test::TinyMachine tiny;
  Policy policy;
  test::ScriptedExecutor executor;
  Driver driver;
};

RC_GTEST_PROP(Policies, lose_no_token_and_double_none, ()) {
  const Case c = any_case();
  RC_LOG() << c;
  World world(c);
  const bool splits = world.policy.composition().attention == "logit-parallel";
  Shadow shadow(c, world.policy.memory_plan().segment_tokens > 0, splits ? c.params.at("sink_tokens") : 0);
  while (world.driver.advance()) {
    shadow.follow(*world.executor.steps().back());
    for (const RequestDecision& row : world.driver.timeline().steps.back().decision.rows) shadow.compare(row);
  }
}

RC_GTEST_PROP(Policies, hold_context_as_device_plus_host_plus_dropped_at_every_step, ()) {
  const Case c = any_case();
  RC_LOG() << c;
  World world(c);
  std::vector<Tokens> dropped(c.workload.requests.size());
  while (world.driver.advance()) {
    for (const RequestDecision& row : world.driver.timeline().steps.back().decision.rows) {
      dropped[row.request.index()] += row.drop_tokens;
      RC_ASSERT(row.drop_tokens >= 0);
      RC_ASSERT(row.device_tokens + row.host_tokens + dropped[row.request.index()] ==
                row.first_position + row.query_tokens);
    }
    for (const RequestView& request : world.driver.requests()) {
      const Tokens expected = request.finished ? 0 : request.cached_tokens - dropped[request.id.index()];
      for (const KvHalf half : {KvHalf::k, KvHalf::v}) {
        RC_ASSERT(world.driver.residency().tokens(request.id, half) == expected);
      }
    }
  }
  for (const RequestView& request : world.driver.requests()) {
    RC_ASSERT(request.finished);
    RC_ASSERT(request.generated <= request.new_tokens);
    RC_ASSERT(c.workload.stop_at_end_of_sequence || request.generated == request.new_tokens);
  }
}

RC_GTEST_PROP(Policies, never_use_more_than_the_plan_reserves, ()) {
  const Case c = any_case();
  RC_LOG() << c;
  World world(c);
  const MemoryPlan& plan = world.policy.memory_plan();
  while (world.driver.advance()) {
    for (const Tier& tier : world.tiny.machine.tiers()) {
      RC_ASSERT(world.driver.residency().peak(tier.id) <= plan.needed(tier.id));
    }
    for (const RequestDecision& row : world.driver.timeline().steps.back().decision.rows) {
      const SlotPlan& slot = plan.slots.at(row.slot.index());
      RC_ASSERT(row.host_tokens <= slot.host_tokens);
      RC_ASSERT(row.device_tokens <= slot.segment_tokens);
      RC_ASSERT(row.rows_per_head <= slot.exchange_rows_per_head);
    }
  }
}

RC_GTEST_PROP(Policies, evict_in_one_direction_and_select_among_host_rows, ()) {
  const Case c = any_case();
  RC_LOG() << c;
  World world(c);
  std::vector<Tokens> host(c.workload.requests.size());
  while (world.driver.advance()) {
    for (const RequestDecision& row : world.driver.timeline().steps.back().decision.rows) {
      Tokens& before = host[row.request.index()];
      RC_ASSERT(row.host_tokens >= before);
      RC_ASSERT(row.evict_tokens >= 0);
      RC_ASSERT(row.evict_tokens <= row.host_tokens - before);
      RC_ASSERT(row.rows_per_head <= row.host_tokens);
      before = row.host_tokens;
    }
  }
}

RC_GTEST_PROP(Policies, run_the_same_way_twice_and_when_forced, ()) {
  const Case c = any_case();
  RC_LOG() << c;
  World once(c);
  World again(c);
  World forced(c);
  const Timeline& timeline = once.driver.run();
  RC_ASSERT(again.driver.run().decision_hash == timeline.decision_hash);
  std::vector<Decision> decisions;
  for (const StepEvent& step : timeline.steps) decisions.push_back(step.decision);
  forced.driver.force(std::move(decisions));
  const Timeline& repeated = forced.driver.run();
  RC_ASSERT(repeated.decision_hash == timeline.decision_hash);
  RC_ASSERT(repeated.steps.size() == timeline.steps.size());
  for (std::size_t i = 0; i < repeated.steps.size(); ++i) {
    RC_ASSERT(repeated.steps[i].structure == timeline.steps[i].structure);
    RC_ASSERT(repeated.steps[i].channel_bytes == timeline.steps[i].channel_bytes);
  }
}

}  // namespace
}  // namespace hybridgen
