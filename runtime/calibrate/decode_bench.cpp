#include "runtime/calibrate/decode_bench.hpp"

#include <algorithm>
#include <chrono>
#include <map>

#include "core/base/check.hpp"
#include "core/executor/check_step.hpp"
#include "core/residency/fits.hpp"
#include "runtime/calibrate/samples.hpp"

namespace hybridgen {
namespace {

// Samples of one step after the other.
struct Samples {
  std::vector<double> step_ms;
  std::vector<double> between_ms;
  std::vector<std::vector<double>> lane_ms;     // by lane id
  std::vector<std::vector<double>> channel_mb;  // by channel id
  std::vector<double> busiest_ms;
  std::vector<double> submit_us;                // of an op
  std::map<OpKind, std::vector<double>> op_us;  // of every op
  std::map<OpKind, std::vector<double>> op_bytes;
};

using Clock = std::chrono::steady_clock;

double ms(TimeNs ns) {
  return static_cast<double>(ns) / 1e6;
}

class DecodeRun {
 public:
  DecodeRun(const Machine& machine, const ModelShape& model, const DecodeBench& bench)
      : machine_(machine),
        bench_(bench),
        policy_(bench.composition, {machine, model, bench.kv_dtype, bench.params},
                {1, bench.context, bench.warm_up_steps + bench.steps + 1, false}) {
    samples_.lane_ms.resize(machine.lanes().size());
    samples_.channel_mb.resize(machine.channels().size());
    view_.id = RequestId(0);
    view_.prompt_tokens = bench.context;
    view_.new_tokens = bench.warm_up_steps + bench.steps + 1;
  }

  const MemoryPlan& plan() const { return policy_.memory_plan(); }

  Samples run(RealExecutor& executor) {
    // The prefill is decided, so that the policy places the prompt's tokens, and never carried out.
    while (view_.cached_tokens < bench_.context) take(decide());
    TimeNs last_end = 0;
    for (Tokens i = 0; i < bench_.warm_up_steps + bench_.steps; ++i) {
      const Decision decision = decide();
      auto step = std::make_shared<const Step>(policy_.build(decision));
      check_step(*step, machine_, executor.capabilities());
      const Clock::time_point begin = Clock::now();
      executor.submit(step);
      const std::chrono::duration<double, std::micro> submitting = Clock::now() - begin;
      const Report report = executor.wait();
      if (i >= bench_.warm_up_steps) {
        sample(*step, report, last_end);
        samples_.submit_us.push_back(submitting.count() / static_cast<double>(step->ops.size()));
      }
      last_end = report.end;
      take(decision);
      ++view_.generated;
    }
    return std::move(samples_);
  }

 private:
  Decision decide() {
    const std::vector<RequestView> views = {view_};
    Decision decision = policy_.decide({StepId(steps_++), views, estimator_});
    HG_CHECK(decision.rows.size() == 1, "a bench of one request decided " << decision.rows.size() << " rows");
    return decision;
  }
  void take(const Decision& decision) {
    const RequestDecision& row = decision.rows.front();
    view_.cached_tokens = row.first_position + row.query_tokens;
    view_.device_tokens = row.device_tokens;
    view_.host_tokens = row.host_tokens;
    view_.slot = row.slot;
  }
  void sample(const Step& step, const Report& report, TimeNs last_end) {
    samples_.step_ms.push_back(ms(report.end - report.start));
    samples_.between_ms.push_back(ms(report.end - last_end));
    std::vector<TimeNs> busy(machine_.lanes().size());
    for (const Op& op : step.ops) {
      const OpRecord& record = report.records[op.id.index()];
      busy[op.lane.index()] += record.end - record.start;
      samples_.op_us[op.kind].push_back(ms(record.end - record.start) * 1e3);
      samples_.op_bytes[op.kind].push_back(static_cast<double>(record.bytes));
    }
    for (std::size_t i = 0; i < busy.size(); ++i) samples_.lane_ms[i].push_back(ms(busy[i]));
    samples_.busiest_ms.push_back(ms(*std::max_element(busy.begin(), busy.end())));
    for (std::size_t i = 0; i < report.channel_bytes.size(); ++i)
      samples_.channel_mb[i].push_back(static_cast<double>(report.channel_bytes[i]) / 1e6);
  }

  const Machine& machine_;
  const DecodeBench& bench_;
  Policy policy_;
  Estimator estimator_;  // learns nothing: every step is decided from the same belief
  RequestView view_;
  std::int64_t steps_ = 0;
  Samples samples_;
};

// The prompt, and the token that its prefill would have sampled: the first step feeds it.
TokenFeed feed_of(const ModelShape& model, Tokens context) {
  TokenFeed feed;
  std::vector<std::int32_t> prompt;
  for (Tokens i = 0; i <= context; ++i) prompt.push_back(static_cast<std::int32_t>(i * 7919 % model.vocab));
  feed.prompts.push_back(std::move(prompt));
  return feed;
}

}  // namespace

std::vector<Measurement> measure_decode(const Machine& machine, const ModelShape& model,
                                        const DecodeBench& bench, const MakeExecutor& make_executor) {
  DecodeRun run(machine, model, bench);
  check_fits(machine, run.plan());
  const auto executor =
      make_executor(run.plan(), feed_of(model, bench.context), bench.warm_up_steps + bench.steps + 1);
  const Samples samples = run.run(*executor);
  const std::string condition = std::to_string(bench.context) + " tokens, " + model.name;
  std::vector<Measurement> figures;
  const auto add = [&](const std::string& quantity, const char* unit, const std::vector<double>& values) {
    const Figure figure = figure_of(values);
    figures.push_back({bench.name, condition, quantity, unit, figure.value, figure.spread, std::nullopt});
  };
  add("step time", "ms", samples.step_ms);
  add("time between steps", "ms", samples.between_ms);
  add("busiest lane", "ms", samples.busiest_ms);
  for (const Lane& lane : machine.lanes())
    add("busy time of lane " + lane.name, "ms", samples.lane_ms[lane.id.index()]);
  for (const Channel& channel : machine.channels())
    add("bytes over " + channel.name, "MB", samples.channel_mb[channel.id.index()]);
  add("host time of a launch per op", "us", samples.submit_us);
  for (const auto& [kind, times] : samples.op_us) {
    add("time of " + std::string(name_of(kind)), "us", times);
    add("bytes of " + std::string(name_of(kind)), "bytes", samples.op_bytes.at(kind));
  }
  return figures;
}

}  // namespace hybridgen
