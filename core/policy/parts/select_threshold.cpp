// select: threshold. The host rows whose logit lies within alpha of the head's largest: how many is known
// only while executing, so a cap bounds what is planned (InfiniGen's rule, on exact logits).
#include <algorithm>

#include "core/policy/registry.hpp"
#include "core/policy/select_params.hpp"

namespace hybridgen {
namespace {

class Threshold final : public SelectPart {
 public:
  Threshold(SelectBy by, std::int64_t alpha_milli, Ppm cap)
      : SelectPart(by), alpha_milli_(alpha_milli), cap_(cap) {}
  SelectRule rule() const override { return SelectRule::threshold; }
  std::int64_t rows_per_head(Tokens host_tokens, std::optional<Ppm> ratio) const override {
    return std::max<std::int64_t>(1, ratio.value_or(cap_) * host_tokens / kPpmOne);
  }
  std::int64_t alpha_milli() const override { return alpha_milli_; }

 private:
  std::int64_t alpha_milli_;
  Ppm cap_;
};

}  // namespace

PartEntry select_threshold() {
  return {"threshold",
          "the host rows whose logit lies within alpha of the head's largest; the count is an outcome",
          {{"alpha", "distance to the largest logit", ParamKind::milli, 0, 1'000'000, 4'000},
           {"max_rows_ratio", "at most this share of the host tokens, per query head", ParamKind::ratio, 0,
            kPpmOne, 200'000},
           select_by_param()},
          MakeSelect([](const PartContext& context) -> std::unique_ptr<SelectPart> {
            return std::make_unique<Threshold>(select_by(context), context.params.get("alpha"),
                                               context.params.get("max_rows_ratio"));
          })};
}

}  // namespace hybridgen
