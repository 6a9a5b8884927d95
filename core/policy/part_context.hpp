// What a policy part is made with.
#pragma once

#include "core/machine/machine.hpp"
#include "core/machine/model_shape.hpp"
#include "core/policy/params.hpp"
#include "core/residency/memory_plan.hpp"

namespace hybridgen {

// machine and model outlive the parts; the parameters are checked against their declarations already.
struct PartContext {
  const Machine& machine;
  const ModelShape& model;
  KvDtype kv_dtype = KvDtype::f16;
  Params params;
  Tokens most_new_tokens = 0;  // of any request of the run; the policy fills it in
};

}  // namespace hybridgen
