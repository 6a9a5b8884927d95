// select: all. Every host row enters the softmax: exact attention by the hybrid path.
#include "core/policy/registry.hpp"
#include "core/policy/select_params.hpp"

namespace hybridgen {
namespace {

class All final : public SelectPart {
 public:
  using SelectPart::SelectPart;
  SelectRule rule() const override { return SelectRule::all; }
  std::int64_t rows_per_head(Tokens host_tokens, std::optional<Ppm>) const override { return host_tokens; }
};

}  // namespace

PartEntry select_all() {
  return {"all",
          "every host row: exact, and the most bytes",
          {select_by_param()},
          MakeSelect([](const PartContext& context) -> std::unique_ptr<SelectPart> {
            return std::make_unique<All>(select_by(context));
          })};
}

}  // namespace hybridgen
