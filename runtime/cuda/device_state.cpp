#include "runtime/cuda/device_state.hpp"

#include <algorithm>
#include <cstring>
#include <span>

#include "core/base/check.hpp"
#include "core/machine/tiles.hpp"
#include "core/policy/model_ops.hpp"
#include "runtime/cuda/logic/split.hpp"
#include "runtime/cuda/mapped_flag.hpp"
#include "runtime/kernels/rope.hpp"

namespace hybridgen::cuda {
namespace {

// Ops of one request in one layer, and of a layer's whole batch: more than any policy makes.
constexpr std::size_t kMostRequestOps = 20;
constexpr std::size_t kMostLayerOps = 4;

Tokens longest_prompt(const TokenFeed& feed) {
  std::size_t longest = 0;
  for (const auto& prompt : feed.prompts) longest = std::max(longest, prompt.size());
  return static_cast<Tokens>(longest);
}

template <class T>
void upload(T* to, std::span<const T> from) {
  check(cudaMemcpy(to, from.data(), from.size_bytes(), cudaMemcpyHostToDevice), "upload");
}

}  // namespace

DeviceState::DeviceState(const ModelShape& shape, const MemoryPlan& plan, const TokenFeed& feed,
                         Tokens new_tokens, const std::vector<RequestBuffers>& slots, int multiprocessors,
                         Tokens most_query_tokens)
    : most_tokens(std::max<Tokens>(most_query_tokens > 0 ? most_query_tokens : longest_prompt(feed),
                                   static_cast<Tokens>(slots.size()))),
      device_("working memory of the GPU", device_memory()),
      mapped_("memory shared with the GPU", mapped_memory()),
      requests_(feed.prompts.size()),
      slots_(slots.size()) {
  qkv_width = shape.q_width() + 2 * shape.kv_width();
  most_ops = static_cast<std::size_t>(shape.layers) * (kMostLayerOps + slots_ * kMostRequestOps) +
             2 * slots_ + kMostLayerOps;
  take_splits(shape, plan, multiprocessors);
  space.pieces = device_.array<float>(partial_floats(
      shape.query_heads, std::max({attend_splits, joint_splits.all(), row_splits}), shape.head_dim));
  space.arrived = device_.array<unsigned>(shape.query_heads);
  lse = device_.array<float>(static_cast<std::int64_t>(slots_) * shape.query_heads);
  take_activations(shape);
  take_params();
  take_tokens(feed, new_tokens);
  take_stores(shape, plan, slots);
  const auto count = static_cast<std::int64_t>(requests_);
  exchange_buffers_ = plan.exchange_buffers();
  offsets_stride_ = shape.query_heads + 1;
  const std::int64_t exchanges = offsets_at(slots_, 0);
  if (plan.lookahead.predicts) take_lookahead(shape, plan);
  if (plan.partial.columns > 0) take_partial(shape, plan);
  offsets = device_.array<std::int32_t>(exchanges);
  host_offsets = mapped_.array<std::int32_t>(exchanges);
  sampled = mapped_.array<std::int32_t>(count);
  if (feed.on_logits) host_logits = mapped_.array<float>(count * shape.vocab);
  flags = mapped_.array<std::uint32_t>(static_cast<std::int64_t>(most_ops * kFlagStride));
  abandon = mapped_.array<std::uint32_t>(1);
}

void DeviceState::take_splits(const ModelShape& shape, const MemoryPlan& plan, int multiprocessors) {
  const bool tensor = plan.kv_dtype == KvDtype::f16;
  const int blocks = (tensor ? kTensorBlocks : kRowBlocks) * multiprocessors;
  const Tokens device_rows = std::max(plan.segment_tokens, plan.staging_tokens);
  const Tokens packed_rows = plan.exchange_rows_per_head;
  attend_splits = split_count(device_rows, kRowGrain, shape.kv_heads, blocks);
  row_splits = split_count(plan.segment_tokens + packed_rows, kRowGrain, shape.query_heads,
                           kRowBlocks * multiprocessors);
  joint_splits =
      tensor ? joint_split_counts(plan.segment_tokens, shape.kv_heads, packed_rows, shape.query_heads, blocks)
             : JointSplits{row_splits, 0};
}

void DeviceState::take_activations(const ModelShape& shape) {
  hidden = device_.array<float>(most_tokens * shape.hidden);
  const Tokens most_at_once =
      std::max(std::min<Tokens>(kTileTokens, most_tokens), static_cast<Tokens>(slots_));
  normed = device_.array<float>(most_at_once * shape.hidden);
  qkv = device_.array<float>(most_tokens * qkv_width);
  attended = device_.array<float>(most_tokens * shape.q_width());
  ffn_in = device_.array<float>(most_at_once * shape.ffn_in_width());
  const std::vector<double> turns =
      kernels::rope_frequencies(shape.head_dim, shape.rope_theta, shape.blocks.rope_scaling);
  frequencies = device_.array<double>(shape.head_dim / 2);
  upload<double>(frequencies, turns);
  cosine = device_.array<float>(most_tokens * shape.head_dim / 2);
  sine = device_.array<float>(most_tokens * shape.head_dim / 2);
  logits = device_.array<float>(static_cast<std::int64_t>(slots_) * shape.vocab);
}

ParamBlock DeviceState::block_at(std::byte* base) const {
  ParamBlock block;
  block.step = reinterpret_cast<StepParams*>(base);
  block.rows = reinterpret_cast<RowParams*>(base + sizeof(StepParams));
  block.ops = reinterpret_cast<OpParams*>(base + sizeof(StepParams) + slots_ * sizeof(RowParams));
  return block;
}

void DeviceState::take_params() {
  static_assert(sizeof(StepParams) % alignof(RowParams) == 0 && sizeof(RowParams) % alignof(OpParams) == 0);
  param_bytes_ =
      static_cast<Bytes>(sizeof(StepParams) + slots_ * sizeof(RowParams) + most_ops * sizeof(OpParams));
  params = block_at(device_.allocate(param_bytes_));
  pinned_ = block_at(mapped_.allocate(param_bytes_));
}

void DeviceState::take_tokens(const TokenFeed& feed, Tokens new_tokens) {
  const auto count = static_cast<std::int64_t>(requests_);
  token_stride = longest_prompt(feed) + new_tokens + 1;
  tokens = device_.array<std::int32_t>(count * token_stride);
  for (std::size_t i = 0; i < requests_; ++i) {
    upload<std::int32_t>(tokens + static_cast<std::int64_t>(i) * token_stride, feed.prompts[i]);
  }
  if (feed.forced.empty()) return;
  for (const auto& list : feed.forced) {
    forced_stride = std::max(forced_stride, static_cast<std::int64_t>(list.size()));
  }
  forced = device_.array<std::int32_t>(count * forced_stride);
  for (std::size_t i = 0; i < requests_; ++i) {
    upload<std::int32_t>(forced + static_cast<std::int64_t>(i) * forced_stride, feed.forced[i]);
  }
}

void DeviceState::take_stores(const ModelShape& shape, const MemoryPlan& plan,
                              const std::vector<RequestBuffers>& slots) {
  const auto table = [&](KvPlace place, int count) {
    std::vector<KvStore> list;
    for (int i = 0; i < count; ++i) {
      for (const RequestBuffers& slot : slots) {
        const RowStore& k = slot.device_k(place, i, i);
        list.push_back({k.base, slot.device_v(place, i, i).base, k.slots, k.sinks});
      }
    }
    auto* on_card = device_.array<KvStore>(static_cast<std::int64_t>(list.size()));
    if (!list.empty()) upload<KvStore>(on_card, list);
    return on_card;
  };
  segment_ = table(KvPlace::segment, plan.segment_tokens > 0 ? shape.layers : 0);
  if (plan.kept_rows) take_kept(shape, plan, slots);
  staging_ = table(KvPlace::staging, plan.staging_tokens > 0 ? plan.staging_buffers : 0);
}

void DeviceState::take_lookahead(const ModelShape& shape, const MemoryPlan& plan) {
  const auto rows = static_cast<std::int64_t>(slots_);
  for (float*& each : predicted) each = device_.array<float>(rows * shape.q_width());
  if (plan.lookahead.fitted) low_rank = device_.array<float>(rows * shape.predictor.rank);
  slope = device_.array<float>(rows * shape.query_heads);
  shift = device_.array<float>(rows * shape.query_heads);
}

PartialStore DeviceState::partial_store(const ModelShape& shape, const MemoryPlan& plan, Tokens slots) {
  PartialStore store;
  store.slots = slots;
  store.columns = plan.partial.columns;
  store.width = partial_width(plan.partial.columns);
  store.skew = device_.array<float>(shape.kv_width() * store.columns);
  store.keys = device_.allocate(slots * partial_row_bytes(shape, plan));
  PoolStore& pool = store.pool;
  for (std::int32_t** rows : {&pool.position, &pool.reads, &pool.last, &pool.free}) {
    *rows = device_.array<std::int32_t>(shape.kv_heads * slots);
  }
  for (std::int32_t** heads : {&pool.taken, &pool.free_count, &pool.newest}) {
    *heads = device_.array<std::int32_t>(shape.kv_heads);
  }
  return store;
}

void DeviceState::take_partial(const ModelShape& shape, const MemoryPlan& plan) {
  whole_layers_ = plan.whole_layers;
  partial_layers_ = plan.pooled_layers(shape.layers);
  for (const SlotPlan& slot : plan.slots) {
    for (int i = 0; i < partial_layers_; ++i) partial_.push_back(partial_store(shape, plan, slot.pool_slots));
  }
  column_weights = device_.array<double>(shape.kv_width());
  skewed_query = device_.array<float>(shape.query_heads * partial_width(plan.partial.columns));
  passing = device_.array<unsigned>(1);
  counts = device_.array<std::int32_t>(count_at(slots_, 0));
  host_counts = mapped_.array<std::int32_t>(count_at(slots_, 0));
}

const PartialStore& DeviceState::partial(std::size_t slot, int layer) const {
  return partial_.at(slot * static_cast<std::size_t>(partial_layers_) +
                     static_cast<std::size_t>(layer - whole_layers_));
}

void DeviceState::take_kept(const ModelShape& shape, const MemoryPlan& plan,
                            const std::vector<RequestBuffers>& slots) {
  kept_scores = device_.array<float>(shape.query_heads * plan.segment_tokens);
  pooled_mass = device_.array<float>(shape.kv_heads * plan.staging_tokens);
  prompt_lse = device_.array<float>(most_tokens * shape.query_heads);
  no_rows = device_.array<std::int32_t>(shape.query_heads + 1);
  // Until a prompt says otherwise slot n holds position n: a bench decodes without one.
  std::vector<std::int32_t> in_order;
  for (int head = 0; head < shape.kv_heads; ++head) {
    for (Tokens n = 0; n < plan.segment_tokens; ++n) in_order.push_back(static_cast<std::int32_t>(n));
  }
  auto* next = device_.array<std::int32_t>(shape.layers * static_cast<std::int64_t>(slots_) * shape.kv_heads);
  for (int layer = 0; layer < shape.layers; ++layer) {
    for (const RequestBuffers& slot : slots) {
      const KeptRows& rows = slot.kept.at(static_cast<std::size_t>(layer));
      kept_.push_back({rows.positions(), rows.mass(), next, rows.slots()});
      next += shape.kv_heads;
      upload<std::int32_t>(rows.positions(), in_order);
    }
  }
}

const KeptStore& DeviceState::kept(std::size_t slot, int layer) const {
  return kept_.at(static_cast<std::size_t>(layer) * slots_ + slot);
}

const KvStore* DeviceState::stores(KvPlace place, int layer, int buffer) const {
  HG_CHECK(place != KvPlace::none, "an op that touches device KV says where it lies");
  return place != KvPlace::staging ? segment_ + static_cast<std::size_t>(layer) * slots_
                                   : staging_ + static_cast<std::size_t>(buffer) * slots_;
}

void DeviceState::write_params(const Step& step, std::uint32_t sequence,
                               const std::vector<std::vector<std::int32_t>>& tokens_so_far,
                               const std::vector<std::vector<std::int32_t>>& prompts) {
  HG_CHECK(step.ops.size() <= most_ops,
           "a step of " << step.ops.size() << " ops; there is room for " << most_ops);
  HG_CHECK(step.batch.size() <= slots_, "a batch of " << step.batch.size() << " in " << slots_ << " slots");
  *pinned_.step = {sequence, static_cast<std::int32_t>(step.batch.size()), 0};
  std::vector<const BatchRow*> row_of(slots_);
  for (std::size_t i = 0; i < step.batch.size(); ++i) {
    const BatchRow& row = step.batch[i];
    row_of.at(row.slot.index()) = &row;
    pinned_.rows[i] = {row.request.value, row.slot.value, pinned_.step->query_tokens, row.first_position,
                       row.query_tokens};
    pinned_.step->query_tokens += row.query_tokens;
  }
  HG_CHECK(pinned_.step->query_tokens <= most_tokens,
           "a step of " << pinned_.step->query_tokens << " query tokens");
  for (const Op& op : step.ops) {
    OpParams& to = pinned_.ops[op.id.index()];
    to = {0, 0, 0, op.work.first_token, op.work.tokens, op.work.rows_per_head, op.work.evict ? 1 : 0, 0};
    if (!op.request.valid()) continue;
    const BatchRow* row = row_of.at(op.slot.index());
    HG_CHECK(row != nullptr,
             "op " << op.id.value << ": request " << op.request.value << " is not in the batch");
    // Kept rows lie from the first slot on, as if they were the whole text.
    to.context = op.work.kv == KvPlace::kept ? op.work.tokens : row->context();
    to.first_position = row->first_position;
    to.query_tokens = row->query_tokens;
    const std::size_t at = op.request.index();
    to.generated = static_cast<std::int64_t>(tokens_so_far.at(at).size() - prompts.at(at).size());
  }
}

void DeviceState::upload_params(cudaStream_t stream) const {
  check(cudaMemcpyAsync(params.step, pinned_.step, static_cast<std::size_t>(param_bytes_),
                        cudaMemcpyHostToDevice, stream),
        "upload of a step's parameters");
}

}  // namespace hybridgen::cuda
