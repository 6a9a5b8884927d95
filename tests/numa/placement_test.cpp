// Placement on a machine with three NUMA nodes, the third without CPUs: every page of K, V and weights is
// asked where it lies. Runs inside the machine that run_in_vm.py starts; what it needs is there, so nothing
// skips.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <numa.h>
#include <numaif.h>
#include <sched.h>

#include <cstring>
#include <fstream>
#include <numeric>
#include <sstream>

#include "core/base/error.hpp"
#include "formats/platform.hpp"
#include "runtime/host/numa_memory.hpp"
#include "runtime/host/team.hpp"
#include "tests/support/host_world.hpp"
#include "tests/support/source_path.hpp"

namespace hybridgen::testing {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int kDramNode = 0, kDeviceNode = 1, kCxlNode = 2;

Machine three_nodes() {
  return load_platform(source_path("tests/numa/three_nodes.yaml")).machine;
}

PolicyChoice hybridgen_of(const std::string& placement) {
  return {"hybridgen", {{"device_kv_tokens", 8}, {"topk_ratio", 500'000}}, {{"placement", placement}}};
}

std::vector<int> nodes_under(const RowStore& store) {
  const ModelShape shape = tiny_shape();
  return page_nodes(store.base, store.slots * kv_row_bytes(shape, KvDtype::f16));
}

// How many of this process's pages lie on a node, by the system's own account.
Bytes pages_on(int node) {
  std::ifstream maps("/proc/self/numa_maps");
  const std::string key = "N" + std::to_string(node) + "=";
  Bytes pages = 0;
  for (std::string word; maps >> word;) {
    if (word.starts_with(key)) pages += std::stoll(word.substr(key.size()));
  }
  return pages;
}

std::string refusal(const std::function<void()>& action, ExitCode code) {
  try {
    action();
  } catch (const UserError& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "nothing was refused";
  return "";
}

// A policy's run on the three nodes, its memory still held.
class NumaRun {
 public:
  explicit NumaRun(const PolicyChoice& choice, Tokens prompt = 300)
      : workload_{1, prompt, kNewTokens, false},
        weights_(
            std::make_shared<TierMemory>("weights", source_of(machine_, *machine_.tier_of(TierKind::hbm)))),
        model_(load()),
        policy_(composition_of(choice), {machine_, model_->shape, choice.kv_dtype, params_for(choice)},
                workload_),
        executor_(machine_, model_, policy_.memory_plan(), feed(), kNewTokens),
        driver_(machine_, model_->shape, workload_, policy_, executor_) {
    driver_.run();
  }

  const RequestBuffers& kv() const { return executor_.buffers(SlotId(0)); }
  const MemoryPlan& plan() const { return policy_.memory_plan(); }
  const std::vector<std::int32_t>& tokens() const { return executor_.tokens(RequestId(0)); }
  const TierMemory& weights() const { return *weights_; }
  std::vector<std::string> warnings() const { return executor_.warnings(); }

  static constexpr Tokens kNewTokens = 6;

 private:
  std::shared_ptr<const HostModel> load() const {
    auto model = std::make_shared<HostModel>();
    model->shape = tiny_shape();
    model->weights =
        dummy_weights(model->shape, 7, [this](Bytes bytes) { return weights_->allocate(bytes); });
    model->memory = weights_;
    return model;
  }
  TokenFeed feed() const {
    TokenFeed feed;
    feed.prompts = {
        prompt_of(static_cast<int>(workload_.requests.front().prompt_tokens), tiny_shape().vocab, 3)};
    feed.forced = {prompt_of(static_cast<int>(kNewTokens), tiny_shape().vocab, 4)};
    return feed;
  }

  Machine machine_ = three_nodes();
  WorkloadShape workload_;
  std::shared_ptr<TierMemory> weights_;
  std::shared_ptr<const HostModel> model_;
  Policy policy_;
  HostExecutor executor_;
  Driver driver_;
};

TEST(NumaMachine, Nodes_twoWithCpusAndOneWithout) {
  ASSERT_GE(numa_available(), 0);
  EXPECT_THAT(usable_nodes(), ElementsAre(0, 1, 2));
  std::vector<unsigned> cpus;
  for (int node = 0; node < 3; ++node) {
    bitmask* mask = numa_allocate_cpumask();
    ASSERT_EQ(numa_node_to_cpus(node, mask), 0);
    cpus.push_back(numa_bitmask_weight(mask));
    numa_bitmask_free(mask);
  }
  EXPECT_THAT(cpus, ElementsAre(2, 2, 0));
}

TEST(NumaMachine, FirmwareSpeeds_ofTheNodeWithoutCpus_asItsTableSays) {
  const std::string initiators = "/sys/devices/system/node/node2/access0/initiators/";
  int latency_ns = 0, bandwidth_MBps = 0;
  std::ifstream(initiators + "read_latency") >> latency_ns;
  std::ifstream(initiators + "read_bandwidth") >> bandwidth_MBps;
  EXPECT_EQ(latency_ns, 250);
  EXPECT_EQ(bandwidth_MBps, 24 * 1024);  // the table's G is 2^30, its unit MiB/s
}

TEST(NumaMachine, PageNodes_pagesMovedBehindOurBack_areSeen) {
  const MemorySource source = node_memory({kDramNode});
  std::byte* address = source.take(3 * kPageBytes);
  EXPECT_THAT(page_nodes(address, 3 * kPageBytes), ElementsAre(0, 0, 0));
  std::vector<void*> page = {address + kPageBytes};
  int target = kCxlNode, status = -1;
  ASSERT_EQ(numa_move_pages(0, 1, page.data(), &target, &status, MPOL_MF_MOVE), 0);
  EXPECT_THAT(page_nodes(address, 3 * kPageBytes), ElementsAre(0, 2, 0));
  source.give_back(address, 3 * kPageBytes);
}

TEST(NumaMachine, Semantic_kOnDramVOnCxlWeightsOnTheDevice_everyPage) {
  const NumaRun run(hybridgen_of("semantic"));
  for (int layer = 0; layer < tiny_shape().layers; ++layer) {
    const std::vector<int> k = nodes_under(run.kv().host_k(layer));
    EXPECT_GE(k.size(), 4U) << "300 tokens of 64 bytes are more than four pages";
    EXPECT_THAT(k, Each(kDramNode)) << "K of layer " << layer;
    EXPECT_THAT(nodes_under(run.kv().host_v(layer)), Each(kCxlNode)) << "V of layer " << layer;
    EXPECT_THAT(nodes_under(run.kv().device_k(KvPlace::segment, layer, 0)), Each(kDeviceNode));
    EXPECT_THAT(nodes_under(run.kv().device_v(KvPlace::segment, layer, 0)), Each(kDeviceNode));
  }
  Bytes weights = 0;
  for (const TierMemory::Block& block : run.weights().blocks()) {
    EXPECT_THAT(page_nodes(block.address, block.bytes), Each(kDeviceNode));
    weights += block.bytes;
  }
  EXPECT_GE(weights, tiny_shape().weight_bytes());
}

TEST(NumaMachine, Unified_kAndVOnDram_everyPage) {
  const NumaRun run(hybridgen_of("unified"));
  for (int layer = 0; layer < tiny_shape().layers; ++layer) {
    EXPECT_THAT(nodes_under(run.kv().host_k(layer)), Each(kDramNode));
    EXPECT_THAT(nodes_under(run.kv().host_v(layer)), Each(kDramNode));
  }
}

TEST(NumaMachine, Interleave_pagesOfKAndVAlternateBetweenDramAndCxl) {
  const NumaRun run(hybridgen_of("interleave"));
  for (int layer = 0; layer < tiny_shape().layers; ++layer) {
    for (const RowStore* store : {&run.kv().host_k(layer), &run.kv().host_v(layer)}) {
      const std::vector<int> nodes = nodes_under(*store);
      ASSERT_GE(nodes.size(), 4U);
      for (std::size_t i = 0; i + 1 < nodes.size(); ++i) {
        EXPECT_EQ(nodes[i] + nodes[i + 1], kDramNode + kCxlNode) << "page " << i;
        EXPECT_NE(nodes[i], nodes[i + 1]) << "page " << i;
      }
    }
  }
}

// What a token's K or V is does not depend on where it lies: the first layer's rows are known from a run that
// evicts nothing.
TEST(NumaMachine, Eviction_movesTheOldestDeviceRowsToTheNodesOfKAndV) {
  const Tokens prompt = 60;
  const NumaRun moved(hybridgen_of("semantic"), prompt);
  const NumaRun resident({"full-gpu", {}, {}}, prompt);
  const Bytes row = head_row_bytes(tiny_shape(), KvDtype::f16);
  int evicted = 0;
  for (Tokens token = prompt - 8; token < prompt + NumaRun::kNewTokens - 1 - 8; ++token, ++evicted) {
    for (int head = 0; head < tiny_shape().kv_heads; ++head) {
      const auto at = [&](const RowStore& store) { return store.head(head, row) + token * row; };
      const std::byte* k = at(moved.kv().host_k(0));
      const std::byte* v = at(moved.kv().host_v(0));
      EXPECT_EQ(
          std::memcmp(k, at(resident.kv().device_k(KvPlace::segment, 0, 0)), static_cast<std::size_t>(row)),
          0)
          << "K of token " << token;
      EXPECT_EQ(
          std::memcmp(v, at(resident.kv().device_v(KvPlace::segment, 0, 0)), static_cast<std::size_t>(row)),
          0)
          << "V of token " << token;
      EXPECT_THAT(page_nodes(k, row), Each(kDramNode));
      EXPECT_THAT(page_nodes(v, row), Each(kCxlNode));
    }
  }
  EXPECT_EQ(evicted, 5);  // one for each token after the first
}

TEST(NumaMachine, NodeTooSmall_refusedWithNodeWantedAndFree_nothingAllocated) {
  const Machine machine = three_nodes();
  const PolicyChoice choice = hybridgen_of("semantic");
  const ModelShape shape = tiny_shape();
  const Bytes before = pages_on(kCxlNode);
  const Bytes free_before = free_bytes(kCxlNode);
  const Bytes row = shape.layers * kv_row_bytes(shape, KvDtype::f16);
  // Most of it generated: a long prompt would ask for working memory, too.
  const Tokens context = free_before / row * 13 / 12;
  const WorkloadShape workload{1, 100, context - 99, false};
  const Policy policy(composition_of(choice), {machine, shape, choice.kv_dtype, params_for(choice)},
                      workload);
  const Bytes v = (context - 8) * row;

  const std::string message = refusal(
      [&] { HostExecutor::check(machine, policy.memory_plan(), Weights::to_come); }, ExitCode::does_not_fit);
  EXPECT_THAT(message, HasSubstr("NUMA node 2 (cxl): " + std::to_string(v) + " bytes wanted, "));
  EXPECT_THAT(message, ::testing::Not(HasSubstr("node 0")));
  const std::string free_text = message.substr(message.find("wanted, ") + 8);
  EXPECT_NEAR(std::stod(free_text), static_cast<double>(free_before), 8e6);

  TokenFeed feed;
  feed.prompts = {prompt_of(10, shape.vocab, 1)};
  EXPECT_EQ(refusal([&] { HostExecutor(machine, tiny_model(), policy.memory_plan(), feed, 1); },
                    ExitCode::does_not_fit)
                .substr(0, message.find("wanted")),
            message.substr(0, message.find("wanted")));
  EXPECT_EQ(pages_on(kCxlNode), before);
}

// Where no plan was asked before: the memory itself refuses, instead of the process being killed.
TEST(NumaMachine, Take_moreThanTheNodeHas_refusedNotKilled) {
  const MemorySource source = node_memory({kCxlNode});
  const Bytes wanted = free_bytes(kCxlNode) + (4 << 20);
  EXPECT_THAT(refusal([&] { source.take(wanted); }, ExitCode::does_not_fit),
              HasSubstr("NUMA node 2: " + std::to_string(wanted) + " bytes wanted, "));
  EXPECT_EQ(pages_on(kCxlNode), 0);
}

TEST(NumaMachine, MissingNode_refusedWithTheNodesThatAreThere) {
  Machine machine = three_nodes();
  machine.set_numa_node(*machine.tier_of(TierKind::cxl), 5);
  EXPECT_THAT(
      refusal([&] { HostExecutor::check(machine, MemoryPlan{}, Weights::placed); }, ExitCode::not_available),
      HasSubstr("memory cxl lies on NUMA node 5, which this process cannot use here; usable: 0, 1, 2"));
}

TEST(NumaMachine, Team_acrossSockets_threadsRunOnBothNodes) {
  std::vector<int> nodes(2, -1);
  {
    Team team(2, 1, [&nodes](Team& lane) {
      lane.parallel(2, 1, [&nodes](int thread, std::int64_t, std::int64_t) {
        nodes[static_cast<std::size_t>(thread)] = numa_node_of_cpu(sched_getcpu());
      });
    });
    EXPECT_EQ(team.unpinned(), 0);
  }
  EXPECT_THAT(nodes, ElementsAre(0, 1));
}

TEST(NumaMachine, Run_lanesOnBothSockets_sameTokensAsOneSocket) {
  PolicyChoice choice = hybridgen_of("semantic");
  const NumaRun across(choice, 80);
  EXPECT_THAT(across.warnings(), ElementsAre());  // every thread pinned, none shares a core
  TokenFeed feed;
  feed.prompts = {prompt_of(80, tiny_shape().vocab, 3)};
  const auto greedy = [&](const Machine& machine) {
    return run_on_host(machine, tiny_model(), choice, {1, 80, NumaRun::kNewTokens, false}, feed);
  };
  const HostRun one = greedy(host_machine(1, true));
  const HostRun two = greedy(three_nodes());
  EXPECT_EQ(one.tokens, two.tokens);
  for (const auto& [position, logits] : one.logits[0]) {
    EXPECT_THAT(two.logits[0].at(position), ::testing::Pointwise(::testing::FloatNear(1e-4F), logits))
        << position;
  }
}

}  // namespace
}  // namespace hybridgen::testing
