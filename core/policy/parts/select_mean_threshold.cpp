// select: mean-threshold (InfiniGen). Every query head counts the rows whose predicted score lies within
// alpha of its largest; all heads read as many rows as these are on average, each its own best. How many is
// known only while executing; the budget bounds it.
#include <algorithm>

#include "core/policy/registry.hpp"

namespace hybridgen {
namespace {

class MeanThreshold final : public SelectPart {
 public:
  MeanThreshold(std::int64_t alpha_milli, Tokens budget) : alpha_milli_(alpha_milli), budget_(budget) {}
  SelectRule rule() const override { return SelectRule::mean_threshold; }
  std::int64_t rows_per_head(Tokens host_tokens, std::optional<Ppm>) const override {
    return std::clamp<std::int64_t>(host_tokens, 1, budget_);
  }
  std::int64_t alpha_milli() const override { return alpha_milli_; }

 private:
  std::int64_t alpha_milli_;
  Tokens budget_;
};

}  // namespace

PartEntry select_mean_threshold() {
  return {
      "mean-threshold",
      "as many rows per query head as lie within alpha of the largest on average; an outcome (InfiniGen)",
      {{"alpha", "distance to the largest predicted score", ParamKind::milli, 0, 1'000'000, 5'000},
       {"budget_tokens", "host rows per query head and step at most", ParamKind::tokens, 1, 1LL << 40, {}}},
      MakeSelect([](const PartContext& context) -> std::unique_ptr<SelectPart> {
        return std::make_unique<MeanThreshold>(context.params.get("alpha"),
                                               context.params.get("budget_tokens"));
      })};
}

}  // namespace hybridgen
