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

bool selects_by_group(const PartContext& context) {
  return context.params.get("select_by") == 1;
}

}  // namespace hybridgen
