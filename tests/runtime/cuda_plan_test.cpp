// What the CUDA executor derives from a step before anything is launched: joins between streams and the CPU
// lane, bytes moved, what it can play. Every preset, no GPU.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <random>
#include <set>

#include "core/base/error.hpp"
#include "runtime/cuda/cuda_available.hpp"
#include "runtime/cuda/cuda_executor.hpp"
#include "runtime/cuda/moved_bytes.hpp"
#include "runtime/cuda/playable.hpp"
#include "runtime/cuda/step_joins.hpp"
#include "tests/support/tiny_machine.hpp"
#include "tests/support/tiny_policy.hpp"

namespace hybridgen::cuda {
namespace {

class CudaPlan : public testing::TestWithParam<std::string> {
 protected:
  // A step that the policy decides after a prefill of `prompt` tokens of each request: decode, or that
  // prefill.
  Step step(bool decode, int requests = 2, Tokens prompt = 20) {
    policy_ =
        std::make_unique<Policy>(test::make_policy(tiny_.machine, model_, {requests, prompt, 8}, GetParam()));
    std::vector<RequestView> views;
    for (int i = 0; i < requests; ++i) views.push_back({RequestId(i), prompt, 0, 0, 0, 0, false, 8});
    for (int i = 0;; ++i) {
      const Decision decision = policy_->decide({StepId(i), views, Estimator()});
      const bool decodes = decision.rows.front().query_tokens == 1;
      if (decodes == decode) return policy_->build(decision);
      for (const RequestDecision& row : decision.rows) {
        RequestView& view = views[row.request.index()];
        view.cached_tokens = row.first_position + row.query_tokens;
        view.device_tokens = row.device_tokens;
        view.host_tokens = row.host_tokens;
        view.slot = row.slot;
      }
    }
  }

  test::TinyMachine tiny_;
  ModelShape model_ = test::tiny_model(3);
  std::unique_ptr<Policy> policy_;
};

// A node of the graph that a captured step becomes.
struct Node {
  enum Kind { wait, run, raise } kind = run;
  OpId op;                          // wait: for this host op's flag; run, raise: this op
  std::vector<std::size_t> behind;  // nodes that must have ended
};

// The nodes as stream_lanes.cpp enqueues them, with a graph's edges: a stream's order and its event waits.
std::vector<Node> nodes_of(const Step& step, const StepJoins& joins) {
  std::vector<Node> nodes;
  std::vector<std::vector<std::size_t>> tail(
      joins.streams.size());  // by stream: what its next node is behind
  std::vector<std::size_t> event(step.ops.size());
  const auto add = [&](int stream, Node::Kind kind, OpId op) {
    auto& last = tail[static_cast<std::size_t>(stream)];
    nodes.push_back({kind, op, last});
    last = {nodes.size() - 1};
  };
  for (const Op& op : step.ops) {
    const OpJoins& join = joins.ops[op.id.index()];
    if (join.stream == kHostLane) continue;
    for (const OpId id : join.event_waits) {
      EXPECT_TRUE(joins.ops[id.index()].records_event);
      tail[static_cast<std::size_t>(join.stream)].push_back(event[id.index()]);
    }
    for (const OpId id : join.flag_waits) add(join.stream, Node::wait, id);
    add(join.stream, Node::run, op.id);
    if (join.raises_flag) add(join.stream, Node::raise, op.id);
    event[op.id.index()] = nodes.size() - 1;
  }
  return nodes;
}

// Carries the nodes out one at a time on a single hardware queue, in a random order that the edges allow,
// while the host lane goes as far as its flags let it.
struct QueueRun {
  bool hung = false;          // a wait stands at the head of the queue for ever
  bool out_of_order = false;  // an op ran before one that it depends on
};

class OneQueue {
 public:
  OneQueue(const Step& step, const StepJoins& joins)
      : step_(step),
        joins_(joins),
        nodes_(nodes_of(step, joins)),
        raised_(step.ops.size()),
        ran_(step.ops.size()) {
    for (const Op& op : step.ops) {
      if (joins.ops[op.id.index()].stream == kHostLane) host_.push_back(op.id);
    }
  }

  QueueRun run(std::mt19937& random) {
    std::vector<bool> done(nodes_.size());
    for (std::size_t left = nodes_.size(); left > 0; --left) {
      const std::size_t chosen = pick(done, random);
      host_goes_on();
      const Node& node = nodes_[chosen];
      if (node.kind == Node::wait && !raised_[node.op.index()]) result_.hung = true;
      if (result_.hung) return result_;
      if (node.kind == Node::run) carry_out(node.op);
      if (node.kind == Node::raise) raised_[node.op.index()] = true;
      done[chosen] = true;
    }
    host_goes_on();
    result_.hung = next_host_ < host_.size();
    return result_;
  }

 private:
  std::size_t pick(const std::vector<bool>& done, std::mt19937& random) const {
    std::vector<std::size_t> ready;
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      const auto& behind = nodes_[i].behind;
      if (!done[i] && std::all_of(behind.begin(), behind.end(), [&](std::size_t b) { return done[b]; })) {
        ready.push_back(i);
      }
    }
    return ready.at(random() % ready.size());
  }
  void carry_out(OpId id) {
    for (const OpId before : step_.dependencies_of(step_.ops[id.index()])) {
      result_.out_of_order |= !ran_[before.index()];
    }
    ran_[id.index()] = true;
  }
  void host_goes_on() {
    for (; next_host_ < host_.size(); ++next_host_) {
      const OpId id = host_[next_host_];
      for (const OpId flag : joins_.ops[id.index()].flag_waits) {
        if (!raised_[flag.index()]) return;
      }
      carry_out(id);
      raised_[id.index()] = joins_.ops[id.index()].raises_flag;
    }
  }

  const Step& step_;
  const StepJoins& joins_;
  std::vector<Node> nodes_;
  std::vector<bool> raised_, ran_;
  std::vector<OpId> host_;
  std::size_t next_host_ = 0;
  QueueRun result_;
};

TEST_P(CudaPlan, Joins_anyOrderOfAGraphsNodes_keepDependenciesAndNeverHang) {
  std::mt19937 random(3);
  for (const bool decode : {true, false}) {
    const Step planned = step(decode);
    const StepJoins joins = joins_of(planned, tiny_.machine);
    for (int order = 0; order < 50; ++order) {
      const QueueRun run = OneQueue(planned, joins).run(random);
      ASSERT_FALSE(run.hung) << (decode ? "decode" : "prefill");
      ASSERT_FALSE(run.out_of_order) << (decode ? "decode" : "prefill");
    }
  }
}

TEST_P(CudaPlan, Joins_withoutTheEventsBehindAFlag_couldHang) {
  // The test above must be able to fail: a wait that is enqueued without its causes stalls some order.
  const Step planned = step(true);
  StepJoins joins = joins_of(planned, tiny_.machine);
  bool any = false;
  for (OpJoins& join : joins.ops) {
    if (join.stream == kHostLane || join.flag_waits.empty()) continue;
    join.event_waits.clear();
    any = true;
  }
  if (!any) return;  // this preset's streams wait for no host op
  std::mt19937 random(3);
  bool hung = false;
  for (int order = 0; order < 200 && !hung; ++order) hung = OneQueue(planned, joins).run(random).hung;
  EXPECT_TRUE(hung);
}

TEST_P(CudaPlan, Joins_equalStructure_areEqual) {
  const StepJoins at_20 = joins_of(step(true, 1, 20), tiny_.machine);
  const StepJoins at_90 = joins_of(step(true, 1, 90), tiny_.machine);
  ASSERT_EQ(at_20.ops.size(), at_90.ops.size());
  for (std::size_t i = 0; i < at_20.ops.size(); ++i) {
    EXPECT_EQ(at_20.ops[i].event_waits, at_90.ops[i].event_waits);
    EXPECT_EQ(at_20.ops[i].flag_waits, at_90.ops[i].flag_waits);
  }
}

// Counted from the kernels' sizes; planned from the shapes. Two ways to the same number, as long as the host
// chose what the plan says it chooses.
TEST_P(CudaPlan, MovedBytes_ofEveryStreamOp_equalThePlansTraffic) {
  for (const bool decode : {true, false}) {
    const Step planned = step(decode);
    const std::vector<std::int64_t> counts(planned.outcomes.size(), 7);
    const MovedBytes moved(model_, policy_->memory_plan());
    for (const Op& op : planned.ops) {
      if (op.role == Role::host) continue;
      Bytes expected = 0;
      std::int64_t chosen = model_.query_heads * op.work.rows_per_head;
      const auto add = [&](const Amount& amount) {
        expected += amount.resolve(counts);
        if (!amount.known()) chosen = 7;
      };
      for (const Access& access : op.traffic.accesses) add(access.bytes);
      for (const Copy& copy : op.traffic.copies) add(copy.bytes);
      std::vector<Bytes> channels(tiny_.machine.channels().size());
      ByteCounter bytes(tiny_.machine, tiny_.machine.lane(op.lane).processor, channels);
      moved.count(planned, op, chosen, bytes);
      EXPECT_EQ(bytes.total(), expected) << "op " << op.id.value << " " << name_of(op.kind);
    }
  }
}

std::vector<std::string> policy_names() {
  std::vector<std::string> names = {"hybridgen+threshold"};
  for (const PresetEntry& preset : preset_registry()) names.push_back(preset.name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(policies, CudaPlan, testing::ValuesIn(policy_names()), [](const auto& test_info) {
  std::string name = test_info.param;
  for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  return name;
});

std::string refusal(const std::function<void()>& call) {
  try {
    call();
  } catch (const NotAvailable& error) {
    return error.what();
  }
  return "";
}

TEST(CudaPlayable, HeadDimOfNoKernel_saysWhichShapesAreTaken) {
  const test::TinyMachine tiny;
  const std::string text =
      refusal([&] { check_playable_by_cuda(tiny.machine, test::tiny_model(), KvDtype::f16); });
  EXPECT_NE(text.find("head_dim 64 or 128"), std::string::npos) << text;
}

TEST(CudaPlayable, LlamaShapeOnAGpu_isTaken) {
  const test::TinyMachine tiny;
  ModelShape shape = test::tiny_model();
  shape.head_dim = 64;
  shape.hidden = 576;
  shape.ffn = 1536;
  for (const KvDtype dtype : {KvDtype::f16, KvDtype::bf16, KvDtype::f32}) {
    EXPECT_EQ(refusal([&] { check_playable_by_cuda(tiny.machine, shape, dtype); }), "");
  }
  const std::string text = refusal([&] { check_playable_by_cuda(tiny.machine, shape, KvDtype::int8); });
  EXPECT_NE(text.find("policy.kv_dtype int8"), std::string::npos) << text;
}

TEST(CudaPlayable, EveryFamily_isTaken) {
  const test::TinyMachine tiny;
  ModelShape shape = test::tiny_model();
  shape.head_dim = 64;
  shape.hidden = 256;
  shape.ffn = 512;
  for (const ModelFamily family : all_families()) {
    shape.blocks = blocks_of(family);
    EXPECT_EQ(refusal([&] { check_playable_by_cuda(tiny.machine, shape, KvDtype::f16); }), "")
        << name_of(family);
  }
}

TEST(CudaPlayable, PlatformWithoutGpu_pointsToTheHostExecutor) {
  Machine machine("laptop");
  const ProcessorId cpu = machine.add_processor("host", ProcessorKind::cpu, {});
  const LaneId lane = machine.add_lane("host", cpu, 2);
  for (const Role role : {Role::device, Role::host, Role::h2d, Role::d2h}) machine.set_role(role, lane);
  const std::string text =
      refusal([&] { check_playable_by_cuda(machine, test::tiny_model(), KvDtype::f16); });
  EXPECT_NE(text.find("laptop"), std::string::npos) << text;
  EXPECT_NE(text.find("--executor host"), std::string::npos) << text;
}

TEST(CudaAvailable, AnyMachine_givesOneSentence) {
  const CudaStatus status = cuda_available();
  EXPECT_FALSE(status.text.empty());
  EXPECT_EQ(status.text.find('\n'), std::string::npos);
}

TEST(CudaExecutorHere, WithoutAGpu_refusesWithTheSameSentence) {
  if (cuda_available().available) GTEST_SKIP() << "there is a GPU: " << cuda_available().text;
  const test::TinyMachine tiny;
  const std::string text = refusal([&] { make_cuda_executor(tiny.machine, nullptr, {}, {}, 1); });
  EXPECT_EQ(text, "executor cuda: " + cuda_available().text);
}

}  // namespace
}  // namespace hybridgen::cuda
