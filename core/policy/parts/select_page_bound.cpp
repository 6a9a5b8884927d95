// select: page-bound. Whole pages of K and V rows, those whose upper bound of any row's score is largest, per
// query head (Quest).
#include "core/policy/registry.hpp"

namespace hybridgen {
namespace {

class PageBound final : public SelectPart {
 public:
  explicit PageBound(Tokens budget) : budget_(budget) {}
  SelectRule rule() const override { return SelectRule::page_bound; }
  // At any context: a shorter one is read whole.
  std::int64_t rows_per_head(Tokens, std::optional<Ppm>) const override { return budget_; }

 private:
  Tokens budget_;
};

}  // namespace

PartEntry select_page_bound() {
  return {"page-bound",
          "pages with the largest upper bound of their scores, per query head (Quest)",
          {{"budget_tokens",
            "rows per query head that a step reads, the new token's page among them",
            ParamKind::tokens,
            1,
            1LL << 40,
            {}}},
          MakeSelect([](const PartContext& context) -> std::unique_ptr<SelectPart> {
            return std::make_unique<PageBound>(context.params.get("budget_tokens"));
          })};
}

}  // namespace hybridgen
