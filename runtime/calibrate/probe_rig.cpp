#include "runtime/calibrate/probe_rig.hpp"

#include <algorithm>

#include "core/base/check.hpp"
#include "core/driver/driver.hpp"
#include "runtime/calibrate/samples.hpp"
#include "runtime/host/host_executor.hpp"
#include "runtime/host/tier_memory.hpp"

namespace hybridgen {
namespace {

constexpr Tokens kChunk = 256;                 // tokens per matrix-product probe, and of the filling
constexpr Tokens kPageTokens = 16;             // the published page
constexpr int kPartialColumns = 12;            // the published fifth of 64 channels
constexpr int kStepsOfOnce = 5;                // samples of an op that comes once in a step
constexpr std::int64_t kEveryRow = 1'000'000;  // an alpha that lets every row pass
constexpr Bytes kAmple =
    1LL << 40;  // the rig does not plan memory; the operating system refuses what is too much
constexpr double kAnyRate = 1e9;  // the rig's channels are only counted, never timed

std::shared_ptr<const HostModel> dummy_model(const ModelShape& shape) {
  auto model = std::make_shared<HostModel>();
  model->shape = shape;
  auto memory = std::make_shared<TierMemory>("weights");
  model->weights = dummy_weights(shape, 1, [&](Bytes bytes) { return memory->allocate(bytes); });
  model->memory = memory;
  return model;
}

// A learned position table must reach as far as the probes do, whatever the model was trained for.
ModelShape rig_shape(ModelShape shape, Tokens most_tokens) {
  shape.max_context = std::max(shape.max_context, static_cast<int>(most_tokens));
  return shape;
}

MemoryPlan rig_plan(const Machine& machine, Tokens most_tokens) {
  MemoryPlan plan;
  plan.device_tier = *machine.tier_of(TierKind::hbm);
  plan.exchange_tier = *machine.tier_of(TierKind::dram);
  plan.k_on_host.tier = plan.exchange_tier;
  plan.v_on_host.tier = plan.exchange_tier;
  plan.segment_tokens = most_tokens;
  plan.host_tokens = most_tokens;
  plan.staging_tokens = most_tokens;
  plan.staging_buffers = 2;
  plan.exchange_rows_per_head = ProbeRig::kMostRowsPerHead;
  plan.exchange_partials = true;
  plan.page_tokens = kPageTokens;
  plan.pages = most_tokens / kPageTokens;
  plan.kept_rows = true;  // in the same segments: each probe fills its rows anew
  plan.lookahead = {.predicts = true, .fitted = false, .keys_up = true, .corrects = true, .own_norm = false};
  plan.partial.columns = kPartialColumns;
  plan.pool_slots = most_tokens;
  plan.slots = {plan};  // one slot of these sizes
  return plan;
}

TokenFeed rig_feed(const ModelShape& shape, Tokens tokens) {
  TokenFeed feed;
  std::vector<std::int32_t> prompt;
  for (Tokens i = 0; i < tokens; ++i) prompt.push_back(static_cast<std::int32_t>(i * 7919 % shape.vocab));
  feed.prompts.push_back(std::move(prompt));
  return feed;
}

// Sums what the plan says of an op; the executor's own count of it is the same (tests/conformance).
Bytes planned_bytes(const Op& op) {
  Bytes sum = 0;
  for (const Access& access : op.traffic.accesses) sum += access.bytes.base;
  for (const Copy& copy : op.traffic.copies) sum += copy.bytes.base;
  return sum;
}

}  // namespace

Machine bare_local_machine(const LocalLanes& lanes, Bytes memory) {
  Machine machine("local");
  const ChannelId dram = machine.add_channel("dram", ChannelKind::memory, kAnyRate);
  const ChannelId up = machine.add_channel("h2d", ChannelKind::link, kAnyRate);
  const ChannelId down = machine.add_channel("d2h", ChannelKind::link, kAnyRate);
  const TierId device = machine.add_tier("device", TierKind::hbm, memory, dram);
  const TierId host = machine.add_tier("dram", TierKind::dram, memory, dram);
  const ProcessorId player = machine.add_processor("device", ProcessorKind::host_device, {});
  const ProcessorId cpu = machine.add_processor("host", ProcessorKind::cpu, {});
  machine.set_access_links(player, device, {});
  machine.set_access_links(cpu, host, {});
  machine.set_copy_links(host, device, {up});
  machine.set_copy_links(device, host, {down});
  machine.set_role(Role::device, machine.add_lane("device", player, lanes.device_threads, 0));
  const LaneId host_lane = machine.add_lane("host", cpu, lanes.host_threads, lanes.device_threads);
  for (const Role role : {Role::host, Role::h2d, Role::d2h}) machine.set_role(role, host_lane);
  return machine;
}

ProbeRig::ProbeRig(const ModelShape& shape, const LocalLanes& lanes, Tokens most_tokens)
    : shape_(rig_shape(shape, most_tokens)),
      machine_(bare_local_machine(lanes, kAmple)),
      plan_(rig_plan(machine_, most_tokens)),
      most_tokens_(most_tokens),
      model_(dummy_model(shape_)),
      executor_(std::make_unique<HostExecutor>(machine_, model_, plan_, rig_feed(shape_, most_tokens), 1)),
      ops_(shape_, plan_) {
  fill_context();
}

Report ProbeRig::submit(StepBuilder& builder) {
  executor_->submit(std::make_shared<const Step>(builder.take()));
  return executor_->wait();
}

// Real-looking K and V everywhere: selections run on logits that differ.
void ProbeRig::fill_context() {
  for (Tokens first = 0; first < most_tokens_; first += kChunk) {
    const Tokens count = std::min(kChunk, most_tokens_ - first);
    RequestDecision row;
    row.request = RequestId(0);
    row.first_position = first;
    row.query_tokens = count;
    const Decision decision{StepId(steps_), {row}};
    StepBuilder builder(machine_, StepId(steps_++), {{row.request, first, count}});
    OpId last = builder.add(ops_.embed(decision), {});
    for (int layer = 0; layer < shape_.layers; ++layer) {
      last = builder.add(ops_.norm_qkv(decision, layer, {KvPlace::staging, 0, {}}), {last});
      const OpId down = builder.add(ops_.offload_kv(row, layer, KvPlace::staging, 0, first, count), {last});
      last = builder.add(ops_.keep_kv(row, layer, 0, first, count), {last, down});
      last = builder.add(ops_.page_bounds(row, layer), {last});
    }
    submit(builder);
  }
}

RequestDecision ProbeRig::row_of(const Probe& probe) const {
  RequestDecision row;
  row.request = RequestId(0);
  row.query_tokens = 1;
  row.first_position = std::max<Tokens>(probe.tokens, 1) - 1;
  row.rows_per_head = probe.rows_per_head;
  row.device_tokens = probe.tokens;
  const bool chunk = probe.kind == OpKind::prefill_attend || probe.kind == OpKind::score_prompt ||
                     probe.kind == OpKind::keep_rows;
  const bool product = probe.kind == OpKind::norm_qkv || probe.kind == OpKind::project_out ||
                       probe.kind == OpKind::ffn || probe.kind == OpKind::page_bounds;
  if (chunk || product || probe.kind == OpKind::embed) {
    row.query_tokens = chunk ? probe.tokens : std::max<Tokens>(probe.tokens, 1);
    row.first_position = 0;
  }
  return row;
}

// By the rule that does most: mass is read and written. The rows that stay are the probed context's; an
// eviction is of a full segment.
std::vector<Op> ProbeRig::kept_ops_of(const Probe& probe, int layer) const {
  RequestDecision row = row_of(probe);
  const KeptBy by{SelectRule::heavy_hitter, {}};
  if (probe.kind == OpKind::score_prompt) return {ops_.score_prompt(row, layer, layer % 2, 0)};
  RequestDecision prompt = row;
  prompt.first_position = 0;
  prompt.query_tokens = probe.tokens;
  const Op keep = ops_.keep_rows(prompt, layer, layer % 2, by);
  if (probe.kind == OpKind::keep_rows) return {keep};
  row.drop_tokens = 1;
  row.first_position = probe.tokens;
  if (probe.kind == OpKind::evict_row) return {keep, ops_.evict_row(row, layer, by)};
  return {keep, ops_.attend_kept(row, layer, by)};
}

// After a prompt of the probed context, whose rows fill the pool; so many rows come up as are asked for.
std::vector<Op> ProbeRig::partial_ops_of(const Probe& probe, int layer) const {
  RequestDecision row = row_of(probe);
  row.scan_tokens = probe.tokens;
  RequestDecision prompt = row;
  prompt.first_position = 0;
  prompt.query_tokens = probe.tokens;
  const Op keys = ops_.partial_keys(prompt, layer);
  if (probe.kind == OpKind::partial_keys) return {keys};
  const SelectedRows rows{Amount::fixed(shape_.query_heads * probe.rows_per_head), probe.rows_per_head};
  std::vector<Op> ops = {keys, ops_.predict_query({StepId(0), {row}}, layer),
                         ops_.partial_select(row, layer, kEveryRow)};
  if (probe.kind == OpKind::partial_select) return ops;
  ops.push_back(probe.kind == OpKind::send_choice ? ops_.send_choice(row, layer, rows)
                                                  : ops_.attend_fetched(row, layer, rows));
  return ops;
}

// The probed op, last, after what gives it its input.
std::vector<Op> ProbeRig::ops_of(const Probe& probe, int layer) const {
  const RequestDecision row = row_of(probe);
  const Decision decision{StepId(0), {row}};
  const SelectedRows rows{Amount::fixed(shape_.query_heads * probe.rows_per_head), probe.rows_per_head};
  const std::int64_t pages = probe.rows_per_head / kPageTokens;
  const auto scan = [&] { return ops_.host_logits(row, layer, 0, probe.tokens); };
  const auto pick = [&] { return ops_.select(row, layer, probe.tokens, SelectRule::top_k, 0); };
  switch (probe.kind) {
    case OpKind::embed:
      return {ops_.embed(decision)};
    case OpKind::norm_qkv:
      return {ops_.norm_qkv(decision, layer, {KvPlace::segment, 0, {}})};
    case OpKind::attend:
    case OpKind::prefill_attend:
      return {ops_.attend(row, layer, KvPlace::segment, 0, probe.tokens)};
    case OpKind::load_kv:
      return {ops_.load_kv(row, layer, layer % 2, probe.tokens)};
    case OpKind::offload_kv:
      return {ops_.offload_kv(row, layer, KvPlace::segment, 0, 0, probe.tokens)};
    case OpKind::keep_kv:
      return {ops_.keep_kv(row, layer, layer % 2, 0, probe.tokens)};
    case OpKind::send_query:
      return {ops_.send_query(row, layer)};
    case OpKind::host_logits:
      return {ops_.send_query(row, layer), scan()};
    case OpKind::select:
      return {ops_.send_query(row, layer), scan(), pick()};
    case OpKind::pack_rows:
      return {ops_.send_query(row, layer), scan(), pick(), ops_.pack_rows(row, layer, 0, rows)};
    case OpKind::send_scores:
      return {ops_.send_scores(row, layer, rows)};
    case OpKind::send_rows:
      return {ops_.send_rows(row, layer, rows)};
    case OpKind::device_logits:
      return {ops_.device_logits(row, layer, probe.tokens)};
    case OpKind::joint_attend:
      return {ops_.send_query(row, layer), scan(), pick(), ops_.device_logits(row, layer, probe.tokens),
              ops_.joint_attend(row, layer, probe.tokens, rows)};
    case OpKind::project_out:
      return {ops_.project_out(decision, layer)};
    case OpKind::ffn:
      return {ops_.ffn(decision, layer)};
    case OpKind::lm_head:
      return {ops_.lm_head(decision)};
    case OpKind::sample:
      return {ops_.sample(row)};
    case OpKind::host_attend:
      return {ops_.send_query(row, layer), ops_.host_attend(row, layer, probe.tokens)};
    case OpKind::send_partial:
      return {ops_.send_partial(row, layer)};
    case OpKind::device_partial:
      return {ops_.device_partial(row, layer, probe.tokens)};
    case OpKind::join_partials:
      return {ops_.device_partial(row, layer, probe.tokens), ops_.join_partials(row, layer)};
    case OpKind::page_bounds:
      return {ops_.page_bounds(row, layer)};
    case OpKind::select_pages:
      return {ops_.select_pages(row, layer, pages)};
    case OpKind::attend_pages:
      return {ops_.select_pages(row, layer, pages), ops_.attend_pages(row, layer, pages)};
    case OpKind::score_prompt:
    case OpKind::keep_rows:
    case OpKind::evict_row:
    case OpKind::attend_kept:
      return kept_ops_of(probe, layer);
    case OpKind::predict_query:
      return {ops_.predict_query(decision, layer)};
    case OpKind::pack_keys:
      return {ops_.send_query(row, layer), scan(), pick(), ops_.pack_keys(row, layer, 0, rows)};
    case OpKind::send_keys:
      return {ops_.send_keys(row, layer, rows)};
    case OpKind::row_logits:
      return {ops_.send_query(row, layer), scan(), pick(), ops_.row_logits(row, layer, rows)};
    case OpKind::fit_logits:
      return {ops_.predict_query(decision, layer), ops_.fit_logits(row, layer, probe.tokens)};
    case OpKind::correct_scores:
      return {ops_.send_query(row, layer), scan(), pick(), ops_.correct_scores(row, layer, rows)};
    case OpKind::partial_keys:
    case OpKind::partial_select:
    case OpKind::send_choice:
    case OpKind::attend_fetched:
      return partial_ops_of(probe, layer);
    case OpKind::pool_row:
      return {ops_.pool_row(row, layer)};
  }
  return {};
}

std::vector<double> ProbeRig::run(const Probe& probe) {
  const RequestDecision row = row_of(probe);
  const Decision one_token{StepId(0), {{RequestId(0), row.first_position, 1, 0, 0, 0, 0}}};
  StepBuilder builder(machine_, StepId(steps_++), {{row.request, row.first_position, row.query_tokens}});
  std::vector<OpId> probed;
  OpId last;
  // A decode step's weights pass through the caches between two uses of anything: another layer's, and before
  // the one op that comes once in a step all layers'. A prefill probe is long enough.
  const auto pass = [&](int layer) { last = builder.add(ops_.ffn(one_token, layer), {last}); };
  const bool once = probe.kind == OpKind::lm_head;
  for (int i = 0; i < (once ? kStepsOfOnce : shape_.layers); ++i) {
    const int far_layer = (i + shape_.layers / 2) % shape_.layers;  // whose weights this probe does not read
    for (int layer = 0; once && layer < shape_.layers; ++layer) pass(layer);
    if (!once && row.query_tokens == 1) pass(far_layer);
    for (const Op& op : ops_of(probe, i % shape_.layers)) last = builder.add(op, {last});
    probed.push_back(last);
  }
  const Report report = submit(builder);
  std::vector<double> samples;
  for (const OpId id : probed) {
    const OpRecord& record = report.records[id.index()];
    samples.push_back(static_cast<double>(record.end - record.start));
  }
  return samples;
}

ProbeSize ProbeRig::size_of(const Probe& probe) const {
  const Op op = ops_of(probe, 0).back();
  ProbeSize size;
  size.bytes = planned_bytes(op);
  size.flops = op.traffic.flops.base;
  size.items = op.traffic.items.base;
  const bool gathers = probe.kind == OpKind::pack_rows || probe.kind == OpKind::pack_keys;
  if (gathers) size.rows = shape_.query_heads * probe.rows_per_head;
  return size;
}

double ProbeRig::step_gap_ns() {
  constexpr Tokens kPrompt = 8;
  constexpr Tokens kSteps = 24;
  const WorkloadShape workload{1, kPrompt, kSteps, false};
  Policy policy(find_preset("full-gpu")->composition, {machine_, shape_, KvDtype::f16, {}}, workload);
  HostExecutor executor(machine_, model_, policy.memory_plan(), rig_feed(shape_, kPrompt), kSteps);
  Driver driver(machine_, shape_, workload, policy, executor);
  const Timeline& timeline = driver.run();
  std::vector<double> gaps;
  for (std::size_t i = 2; i < timeline.steps.size(); ++i) {
    gaps.push_back(static_cast<double>(timeline.steps[i].ops.front().start - timeline.steps[i - 1].end));
  }
  return figure_of(gaps).value;
}

}  // namespace hybridgen
