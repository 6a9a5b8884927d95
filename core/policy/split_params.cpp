#include "core/policy/split_params.hpp"

#include <string>

#include "core/base/error.hpp"

namespace hybridgen {

namespace {
constexpr std::int64_t kMostTokens = 1LL << 40;
}

ParamSpec device_kv_tokens_param() {
  return {"device_kv_tokens", "newest tokens whose KV stays on the device",
          ParamKind::tokens,  1,
          kMostTokens,        {}};
}

ParamSpec scan_cap_param() {
  return {"scan_cap", "newest host tokens that the host scans; 0: all", ParamKind::tokens, 0, kMostTokens, 0};
}

ParamSpec feedback_source_param() {
  return {"feedback.source",
          "times of the last step's records, or the estimator's averages",
          ParamKind::choice,
          0,
          1,
          0,
          {"records", "estimator"}};
}

ParamSpec feedback_against_param() {
  return {"feedback.against",
          "device work that the host's is held against: attention alone, or the whole layer (what lookahead "
          "can hide)",
          ParamKind::choice,
          0,
          1,
          1,
          {"attention", "layer"}};
}

ParamSpec feedback_interval_param() {
  return {"feedback.interval", "decode steps between two decisions", ParamKind::tokens, 1, 1'000'000, 4};
}

ParamSpec feedback_dead_band_param() {
  return {"feedback.dead_band_permille",
          "difference of the times, in thousandths of the device's, within which nothing moves; 0: the "
          "published rule",
          ParamKind::tokens,
          0,
          1'000,
          100};
}

Ppm start_ratio(const PartContext& context, const char* part) {
  for (const char* name : {"topk_ratio", "max_rows_ratio"}) {
    if (context.params.has(name)) return context.params.get(name);
  }
  throw BadInput(std::string("split ") + part +
                 " moves a selection ratio, and this select part has none; use "
                 "select: top-k or split: fixed");
}

}  // namespace hybridgen
