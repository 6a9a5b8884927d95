#include "core/policy/select_params.hpp"

namespace hybridgen {

ParamSpec select_by_param() {
  return {"select_by",
          "for whom V rows go up: each query head its own, or all query heads of a KV head the union, once",
          ParamKind::choice,
          0,
          1,
          0,
          {"query-head", "kv-group"}};
}

ParamSpec select_by_or_best_param() {
  ParamSpec spec = select_by_param();
  spec.sentence += ", or one choice: the rows that come closest to the largest logit of any of them";
  spec.names.push_back("kv-group-best");
  spec.most = 2;
  return spec;
}

SelectBy select_by(const PartContext& context) {
  if (context.model.group() == 1) return SelectBy::query_head;
  return static_cast<SelectBy>(context.params.get("select_by"));
}

}  // namespace hybridgen
