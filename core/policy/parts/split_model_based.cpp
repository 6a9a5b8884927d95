// split: model-based (ours). The estimator's learned rates say what a scanned token, a selected row and a
// device token cost; the setting that makes host time equal to device time is solved for, not searched in
// fixed steps. A setting stays while it is within the dead band (hysteresis), and quality has floors: a least
// ratio, a least scan and a least device segment.
#include <algorithm>

#include "core/policy/model_ops.hpp"
#include "core/policy/registry.hpp"
#include "core/policy/scheduled_split.hpp"
#include "core/policy/select_params.hpp"
#include "core/policy/split_params.hpp"
#include "core/policy/split_times.hpp"

namespace hybridgen {
namespace {

struct ModelOptions {
  Tokens most_device = 0, least_device = 0;
  Tokens cap_least = 0;
  Ppm ratio = 0, ratio_least = 0;
  std::int64_t dead_band_permille = 0;
  bool whole_layer = false;
  int layers = 0;
  std::int64_t query_heads = 0;
  std::int64_t packing_heads = 0;  // whose rows go up, each its own: query heads, or KV heads
  std::int64_t group = 1;          // query heads to one of these
  std::int64_t choices = 1;        // of these heads, that join
  Bytes row = 0, head_row = 0;     // K or V of one token: all KV heads, one head
};

struct Setting {
  Tokens device = 0;
  Tokens scan = 0;  // 0: all
  Ppm ratio = 0;
};

// Picoseconds in one layer, by what the policy can change.
struct Rates {
  std::int64_t per_scanned = 0;  // host token scanned and searched
  std::int64_t per_row = 0;      // row of every packing head, packed and sent
  std::int64_t per_device = 0;   // token of the device segment
  std::int64_t device_fixed = 0;
};

class ModelBasedSplit final : public ScheduledSplit<Setting> {
 public:
  ModelBasedSplit(const ModelOptions& options, std::int64_t interval)
      : ScheduledSplit({options.most_device, 0, options.ratio}, interval), options_(options) {}

  Split split(const RequestView& request, const Observation& observation) override {
    Setting& setting = setting_of(request);
    std::optional<SplitNote> note;
    if (due(request) && request.host_tokens > 0 && observation.estimator.seen(OpKind::host_logits) > 0) {
      note = decide(request, observation.estimator, setting);
    }
    return {setting.device, setting.scan, setting.ratio, note};
  }

  Tokens most_device_tokens() const override { return options_.most_device; }
  Tokens least_device_tokens() const override { return options_.least_device; }
  std::optional<Ppm> most_ratio() const override { return options_.ratio; }

 private:
  Rates rates(const Estimator& estimator) const {
    const auto ps = [&](OpKind kind, Bytes bytes) { return bytes * estimator.fs_per_byte(kind) / 1000; };
    Rates rates;
    rates.per_scanned = ps(OpKind::host_logits, options_.row) +
                        options_.query_heads * estimator.fs_per_item(OpKind::select) / 1000;
    // All packing heads' rows at once, or little is left of a row in integers.
    const Bytes rows = options_.packing_heads * options_.head_row;
    const Bytes logits = options_.packing_heads * options_.group * kLogitBytes;
    rates.per_row = ps(OpKind::pack_rows, 2 * rows) + ps(OpKind::pack_keys, 2 * rows) +
                    ps(OpKind::send_rows, rows) + ps(OpKind::send_keys, rows) +
                    ps(OpKind::send_scores, logits);
    rates.per_row = rates.per_row * estimator.selected_ppm() / kPpmOne;
    rates.per_device =
        std::max(ps(OpKind::device_logits, options_.row), ps(OpKind::fit_logits, options_.row)) +
        ps(OpKind::joint_attend, options_.row);
    if (options_.whole_layer) {
      for (const OpKind kind : {OpKind::norm_qkv, OpKind::project_out, OpKind::ffn, OpKind::predict_query}) {
        rates.device_fixed += 1000 * estimator.op_ns(kind);
      }
    }
    return rates;
  }

  // Rows of a packing head: at most what its query heads choose together, and no row twice.
  std::int64_t packed(Ppm ratio, Tokens host, Tokens scanned) const {
    return std::min(scanned, options_.choices * (ratio * host / kPpmOne));
  }
  std::int64_t host_ps(const Rates& rates, Tokens host, const Setting& s) const {
    const Tokens scanned = s.scan == 0 ? host : std::min(s.scan, host);
    return scanned * rates.per_scanned + packed(s.ratio, host, scanned) * rates.per_row;
  }
  static std::int64_t device_ps(const Rates& rates, Tokens device) {
    return rates.device_fixed + device * rates.per_device;
  }

  SplitNote decide(const RequestView& request, const Estimator& estimator, Setting& setting) const {
    const Rates r = rates(estimator);
    const Tokens context = request.cached_tokens;
    const std::int64_t host = host_ps(r, request.host_tokens, setting);
    const std::int64_t device = device_ps(r, request.device_tokens);
    const std::int64_t band = device * options_.dead_band_permille / 1000;
    const SplitMove move = host > device + band   ? SplitMove::shrink
                           : host < device - band ? SplitMove::grow
                                                  : SplitMove::keep;
    if (move != SplitMove::keep) setting = solve(r, context, request.device_tokens);
    return {request.id,
            options_.layers * host / 1000,
            options_.layers * device / 1000,
            move,
            setting.ratio,
            setting.scan,
            setting.device};
  }

  // Best quality first: everything scanned at the full ratio; where the host would be late, fewer rows, then
  // a shorter scan, and the device keeps what comes; where it would have slack, the device hands tokens over.
  Setting solve(const Rates& r, Tokens context, Tokens device_tokens) const {
    Setting next{device_tokens, 0, options_.ratio};
    const Tokens host = std::max<Tokens>(1, context - next.device);
    const std::int64_t budget = device_ps(r, next.device);
    if (host_ps(r, host, next) <= budget) {
      const std::int64_t slack = budget - host_ps(r, host, next);
      const std::int64_t per_token =
          r.per_device + r.per_scanned + options_.choices * next.ratio * r.per_row / kPpmOne;
      if (per_token > 0) next.device = std::max(options_.least_device, next.device - slack / per_token);
      return next;
    }
    const std::int64_t for_rows = budget - host * r.per_scanned;
    // Of the ratio.
    const std::int64_t per_permille = std::max<std::int64_t>(1, options_.choices * host * r.per_row / 1000);
    next.device = options_.most_device;
    next.ratio = std::clamp(std::max<std::int64_t>(0, for_rows) * 1000 / per_permille, options_.ratio_least,
                            options_.ratio);
    if (host_ps(r, host, next) <= budget) return next;
    next.scan = std::max(options_.cap_least, affordable_scan(r, budget, packed(next.ratio, host, host)));
    if (next.scan >= host) next.scan = 0;
    return next;
  }

  // The longest scan within the budget when `rows` of it are selected, or all of a shorter one. Rates learned
  // on short scans carry their fixed costs: too high, so the answer errs short and the next one is better.
  static Tokens affordable_scan(const Rates& r, std::int64_t budget, std::int64_t rows) {
    const Tokens beyond_rows = (budget - rows * r.per_row) / std::max<std::int64_t>(1, r.per_scanned);
    if (beyond_rows >= rows) return beyond_rows;
    return budget / std::max<std::int64_t>(1, r.per_scanned + r.per_row);
  }

  ModelOptions options_;
};

std::unique_ptr<SplitPart> make(const PartContext& context) {
  const Params& params = context.params;
  ModelOptions options;
  options.most_device = params.get("device_kv_tokens");
  options.least_device = std::min(options.most_device, params.get("feedback.device_least"));
  options.cap_least = params.get("feedback.cap_least");
  options.ratio = start_ratio(context, "model-based");
  options.ratio_least = std::min(options.ratio, params.get("feedback.ratio_least"));
  options.dead_band_permille = params.get("feedback.dead_band_permille");
  options.whole_layer = params.get("feedback.against") == 1;
  options.layers = context.model.layers;
  options.query_heads = context.model.query_heads;
  const SelectBy by = context.params.has("select_by") ? select_by(context) : SelectBy::query_head;
  options.group = by == SelectBy::query_head ? 1 : context.model.group();
  options.choices = by == SelectBy::kv_group ? options.group : 1;
  options.packing_heads = context.model.query_heads / options.group;
  options.row = kv_row_bytes(context.model, context.kv_dtype);
  options.head_row = head_row_bytes(context.model, context.kv_dtype);
  return std::make_unique<ModelBasedSplit>(options, params.get("feedback.interval"));
}

}  // namespace

PartEntry split_model_based() {
  return {"model-based",
          "device tokens, ratio and scan cap solved from learned rates, with hysteresis (ours)",
          {device_kv_tokens_param(),
           feedback_interval_param(),
           feedback_against_param(),
           feedback_dead_band_param(),
           {"feedback.ratio_least", "the ratio's floor", ParamKind::ratio, 1, kPpmOne, 10'000},
           {"feedback.cap_least", "the scan cap's floor, in tokens", ParamKind::tokens, 1, 1LL << 40, 32},
           {"feedback.device_least", "the device segment's floor, in tokens", ParamKind::tokens, 1, 1LL << 40,
            64}},
          MakeSplit(make)};
}

}  // namespace hybridgen
