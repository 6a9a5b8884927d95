// select: top-k. The k host rows with the largest logits, per query head, or with the best margins, per KV
// head; k = max(1, floor(ratio x host tokens)).
#include <algorithm>

#include "core/policy/registry.hpp"
#include "core/policy/select_params.hpp"

namespace hybridgen {
namespace {

class TopK final : public SelectPart {
 public:
  TopK(SelectBy by, Ppm ratio) : SelectPart(by), ratio_(ratio) {}
  SelectRule rule() const override {
    return by() == SelectBy::kv_group_best ? SelectRule::group_top_k : SelectRule::top_k;
  }
  std::int64_t rows_per_head(Tokens host_tokens, std::optional<Ppm> ratio) const override {
    return std::max<std::int64_t>(1, ratio.value_or(ratio_) * host_tokens / kPpmOne);
  }

 private:
  Ppm ratio_;
};

}  // namespace

PartEntry select_top_k() {
  return {"top-k",
          "the k host rows with the largest logits, per query head or KV head",
          {{"topk_ratio", "share of the host tokens that is selected", ParamKind::ratio, 0, kPpmOne, {}},
           select_by_or_best_param()},
          MakeSelect([](const PartContext& context) -> std::unique_ptr<SelectPart> {
            return std::make_unique<TopK>(select_by(context), context.params.get("topk_ratio"));
          })};
}

}  // namespace hybridgen
