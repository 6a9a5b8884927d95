// InfiniGen's rows, token by token, against selections that were worked out by hand; in fp32, so that partial
// columns of K are not rounded.
#include <gtest/gtest.h>

#include <cstring>

#include "runtime/host/host_ops.hpp"
#include "runtime/host/partial_ops.hpp"
#include "tests/support/selection_case.hpp"

namespace hybridgen::testing {
namespace {

constexpr kernels::KvType kType = kernels::KvType::f32;

// The case's channels are the first of the kernels' head_dim, and the others are 0. So the ratio of columns
// and the scores' scale follow.
class InfinigenCase : public ::testing::TestWithParam<const char*> {
 protected:
  int columns() const {
    return static_cast<int>(case_.json.at("settings").at("partial_ratio").get<double>() * case_.channels);
  }

  Policy policy() const {
    const auto& settings = case_.json.at("settings");
    const std::string evict = settings.at("evict");
    const double scale = std::sqrt(static_cast<double>(case_.channels) / shape_.head_dim);
    Params params;
    params.set("budget_tokens", case_.setting("budget"));
    params.set("alpha", std::llround(settings.at("alpha").get<double>() * 1000 * scale));
    params.set("partial_ratio", columns() * kPpmOne / shape_.head_dim);
    params.set("whole_layers", case_.setting("whole_layers"));
    params.set("predict_norm", 0);
    params.set("pool_tokens", case_.setting("pool_tokens"));
    params.set("pool_evict", evict == "fifo" ? 0 : evict == "lru" ? 1 : 2);
    return {find_preset("infinigen")->composition,
            {machine_, shape_, KvDtype::f32, params},
            {1, case_.prompt, case_.later + 1}};
  }

  // skew[kv head], row vectors multiplied from the left, as columns behind one another; beyond the case's
  // channels the identity.
  std::vector<float> skew() const {
    constexpr int kWidth = SelectionCase::kWidth;
    std::vector<float> columns;
    for (const auto& of_head : case_.json.at("skew")) {
      for (int c = 0; c < kWidth; ++c) {
        for (int row = 0; row < kWidth; ++row) {
          const bool inside = c < case_.channels && row < case_.channels;
          columns.push_back(
              inside ? of_head[static_cast<std::size_t>(row)][static_cast<std::size_t>(c)].get<float>()
                     : (c == row ? 1.0F : 0.0F));
        }
      }
    }
    return columns;
  }

  // The policy's own step, as a driver would ask for it.
  Step step_at(Policy& policy, Tokens cached) const {
    RequestView view;
    view.id = RequestId(0);
    view.prompt_tokens = case_.prompt;
    view.new_tokens = case_.later + 1;
    view.cached_tokens = view.host_tokens = cached;
    if (cached > 0) view.slot = SlotId(0);
    const std::vector<RequestView> requests = {view};
    const Estimator estimator;
    const StepTimes times;
    return policy.build(policy.decide({StepId(cached), requests, estimator, times}));
  }

  const SelectionCase case_{GetParam()};
  const ModelShape shape_ = case_.shape();
  const Machine machine_ = host_machine();
};

// One layer's ops on buffers of its own.
class Layer {
 public:
  Layer(const ModelShape& shape, const MemoryPlan& plan, const Machine& machine, const float* skew)
      : shape_(shape), machine_(machine), layer_(shape.layers - 1) {
    weights_.shape = shape;
    weights_.layers.resize(static_cast<std::size_t>(shape.layers));
    weights_.layers.back().skew = skew;
    for (const Tier& tier : machine.tiers()) memory_.emplace_back(tier.name);
    buffers.emplace(shape, plan, SlotId(0), memory_);
    partial.emplace(shape, plan, SlotId(0), memory_.at(plan.device_tier.index()));
    partial_ops_.emplace(weights_, plan, 1);
    host_ops_.emplace(shape, plan);
    channel_bytes_.resize(machine.channels().size());
  }

  void play(const Step& step, const PartialRow& row, Team& team) {
    for (const Op& op : step.ops) {
      if (op.layer != layer_) continue;
      ByteCounter bytes(machine_, machine_.lane(op.lane).processor, channel_bytes_);
      const OpContext context{step, op, team, bytes};
      switch (op.kind) {
        case OpKind::partial_keys:
        case OpKind::partial_select:
        case OpKind::send_choice:
        case OpKind::pool_row:
        case OpKind::attend_fetched:
          partial_ops_->run(context, {*buffers, *partial, row});
          break;
        case OpKind::pack_keys:
        case OpKind::pack_rows:
          host_ops_->run(context, *buffers);
          break;
        case OpKind::send_rows:
          send(exchange().packed, exchange().device_packed);
          break;
        case OpKind::send_keys:
          send(exchange().packed_keys, exchange().device_packed_keys);
          break;
        default:
          break;  // projections; and a prompt's copy down, which the test has made
      }
    }
  }
  const Exchange& exchange() const { return buffers->exchange(layer_ % 2); }

  std::optional<RequestBuffers> buffers;
  std::optional<PartialKeys> partial;

 private:
  void send(const std::byte* from, std::byte* to) const {
    const Bytes row = kernels::row_bytes(kType, shape_.head_dim);
    std::memcpy(to, from, static_cast<std::size_t>(exchange().rows_up() * row));
  }

  const ModelShape& shape_;
  const Machine& machine_;
  int layer_;
  ModelWeights weights_;
  std::vector<TierMemory> memory_;
  std::optional<PartialOps> partial_ops_;
  std::optional<HostOps> host_ops_;
  std::vector<Bytes> channel_bytes_;
};

// All heads' rows at one place, behind one another.
void take(const std::vector<Rows>& of, Tokens at, float* to) {
  for (const Rows& head : of) {
    const auto& row = head[static_cast<std::size_t>(at)];
    to = std::copy(row.begin(), row.end(), to);
  }
}

TEST_P(InfinigenCase, EveryStep_rowsAndOutputAsWorkedOutByHand) {
  Policy infinigen = policy();
  const MemoryPlan& plan = infinigen.memory_plan();
  ASSERT_EQ(plan.partial.columns, columns());
  const std::vector<float> skew_columns = skew();
  Layer layer(shape_, plan, machine_, skew_columns.data());
  const auto width = static_cast<std::size_t>(shape_.q_width());
  std::vector<float> query(width * static_cast<std::size_t>(case_.prompt)), predicted(width), out(width);
  const PartialRow row{query.data(), shape_.q_width(), predicted.data(), out.data()};
  const RowStore& staged_k = layer.buffers->device_k(KvPlace::staging, case_.layer, case_.layer % 2);
  const RowStore& staged_v = layer.buffers->device_v(KvPlace::staging, case_.layer, case_.layer % 2);

  on_a_lane([&](Team& team) {
    store_case_rows(case_, staged_k, staged_v, 0, case_.prompt, kType);
    store_case_rows(case_, layer.buffers->host_k(case_.layer), layer.buffers->host_v(case_.layer), 0,
                    case_.prompt, kType);
    const std::vector<Rows> prompt_query = case_.rows("prompt_query");
    for (Tokens t = 0; t < case_.prompt; ++t) take(prompt_query, t, query.data() + t * shape_.q_width());
    layer.play(step_at(infinigen, 0), row, team);
    const std::vector<Rows> guessed = case_.rows("predicted_query");
    for (Tokens step = 0; step < case_.later; ++step) {
      const Tokens position = case_.prompt + step;
      store_case_rows(case_, staged_k, staged_v, position, 1, kType);
      take(case_.query, step, query.data());
      take(guessed, step, predicted.data());
      const std::vector<PoolHead> pool = layer.partial->layer(case_.layer).pool;  // before the new row comes
      layer.play(step_at(infinigen, position), row, team);
      for (int head = 0; head < case_.heads(); ++head) {
        SCOPED_TRACE("step " + std::to_string(step) + ", query head " + std::to_string(head));
        const auto at = static_cast<std::size_t>(head);
        const std::int32_t* rows = layer.exchange().rows + head * plan.exchange_rows_per_head;
        std::vector<Tokens> read = {position};
        for (std::int64_t i = 0; i < layer.exchange().counts[at]; ++i)
          read.push_back(pool[static_cast<std::size_t>(head / case_.group())].position(rows[i]));
        std::sort(read.begin(), read.end());
        EXPECT_EQ(read, case_.kept[at][static_cast<std::size_t>(step)]);
        const std::vector<double> expected = case_.expected_output(head, step);
        for (int d = 0; d < shape_.head_dim; ++d)
          EXPECT_NEAR(out[static_cast<std::size_t>(head * shape_.head_dim + d)],
                      expected[static_cast<std::size_t>(d)], 1e-5);
      }
    }
  });
}

INSTANTIATE_TEST_SUITE_P(ByHand, InfinigenCase,
                         ::testing::Values("infinigen", "infinigen-cap", "infinigen-pool-fifo",
                                           "infinigen-pool-lru", "infinigen-pool-counter"),
                         [](const auto& each) {
                           std::string name = each.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace hybridgen::testing
