// select: sink-window (StreamingLLM). The first tokens, on which attention rests whatever they say, and the
// newest ones; together with the new token they are the budget. Positions count inside the cache as
// published, or stay those of the text.
#include "core/base/error.hpp"
#include "core/policy/kept_select.hpp"
#include "core/policy/registry.hpp"

namespace hybridgen {
namespace {

KeepRule sink_window_rule(const PartContext& context) {
  KeepRule rule;
  rule.sinks = context.params.get("sink_tokens");
  rule.reindex = context.params.get("reindex") == 0;
  check_below_budget(context, "select sink-window", "sink_tokens", rule.sinks);
  if (rule.reindex && context.model.blocks.position == PositionKind::learned) {
    throw BadInput(
        "select sink-window: " + context.model.name +
        " adds learned positions to the embedding, which a cache cannot count anew; write reindex: "
        "no");
  }
  return rule;
}

}  // namespace

PartEntry select_sink_window() {
  return {"sink-window",
          "the first tokens and the newest ones (StreamingLLM)",
          {{"sink_tokens", "first tokens that always stay; fewer than the budget", ParamKind::tokens, 0,
            1'000'000, 4},
           {"reindex",
            "whether positions count inside the cache, as published, or stay those of the text",
            ParamKind::choice,
            0,
            1,
            0,
            {"yes", "no"}}},
          MakeSelect([](const PartContext& context) -> std::unique_ptr<SelectPart> {
            return std::make_unique<KeptSelect>(SelectRule::sink_window, sink_window_rule(context));
          })};
}

}  // namespace hybridgen
