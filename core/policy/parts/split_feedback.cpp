// split: feedback. Every few steps host time is held against device time; the selection ratio and the scan
// cap grow where the host has slack and shrink where it is late (HybridGen). With a dead band of 0 this is
// the published rule, which never rests.
#include "core/policy/feedback_rule.hpp"
#include "core/policy/registry.hpp"
#include "core/policy/scheduled_split.hpp"
#include "core/policy/split_params.hpp"
#include "core/policy/split_times.hpp"

namespace hybridgen {
namespace {

struct FeedbackOptions {
  Tokens device_tokens = 0;
  FeedbackSetting start;
  FeedbackLimits limits;
  bool from_estimator = false;
  bool whole_layer = false;
  int layers = 0;
};

class FeedbackSplit final : public ScheduledSplit<FeedbackSetting> {
 public:
  FeedbackSplit(const FeedbackOptions& options, std::int64_t interval)
      : ScheduledSplit(options.start, interval), options_(options) {}

  Split split(const RequestView& request, const Observation& observation) override {
    FeedbackSetting& setting = setting_of(request);
    Split split{options_.device_tokens, setting.cap, setting.ratio, {}};
    if (!due(request)) return split;
    const SplitTimes times =
        split_times(request, observation, options_.from_estimator, options_.whole_layer, options_.layers);
    if (times.host_ns == 0) return split;  // all on the device, or the last step was another request's
    const SplitMove move = feedback_move(times.host_ns, times.device_ns, options_.limits);
    setting = feedback_step(setting, move, options_.limits, request.host_tokens);
    split.scan_cap = setting.cap;
    split.ratio = setting.ratio;
    split.note = SplitNote{request.id,    times.host_ns, times.device_ns,       move,
                           setting.ratio, setting.cap,   options_.device_tokens};
    return split;
  }

  Tokens least_device_tokens() const override { return options_.device_tokens; }
  Tokens most_device_tokens() const override { return options_.device_tokens; }
  std::optional<Ppm> most_ratio() const override {
    return std::max(options_.limits.ratio_most, options_.start.ratio);
  }

 private:
  FeedbackOptions options_;
};

std::unique_ptr<SplitPart> make(const PartContext& context) {
  const Params& params = context.params;
  FeedbackOptions options;
  options.device_tokens = params.get("device_kv_tokens");
  options.start = {start_ratio(context, "feedback"), params.get("scan_cap")};
  options.limits.ratio_least = params.get("feedback.ratio_least");
  options.limits.ratio_most = params.get("feedback.ratio_most");
  options.limits.cap_least = params.get("feedback.cap_least");
  options.limits.dead_band_permille = params.get("feedback.dead_band_permille");
  options.limits.cap_after_ratio = params.get("feedback.shrink") == 1;
  options.from_estimator = params.get("feedback.source") == 1;
  options.whole_layer = params.get("feedback.against") == 1;
  options.layers = context.model.layers;
  return std::make_unique<FeedbackSplit>(options, params.get("feedback.interval"));
}

}  // namespace

PartEntry split_feedback() {
  return {
      "feedback",
      "the ratio and the scan cap follow measured host and device times (HybridGen)",
      {device_kv_tokens_param(),
       scan_cap_param(),
       feedback_interval_param(),
       feedback_source_param(),
       feedback_against_param(),
       feedback_dead_band_param(),
       {"feedback.shrink",
        "what shrinks when the host is late: ratio and cap together, or the cap only at the ratio's floor",
        ParamKind::choice,
        0,
        1,
        0,
        {"together", "ratio-first"}},
       {"feedback.ratio_least", "the ratio's floor", ParamKind::ratio, 1, kPpmOne, 10'000},
       {"feedback.ratio_most", "the ratio's ceiling", ParamKind::ratio, 1, kPpmOne, 500'000},
       {"feedback.cap_least", "the scan cap's floor, in tokens", ParamKind::tokens, 1, 1LL << 40, 32}},
      MakeSplit(make)};
}

}  // namespace hybridgen
