// What a platform file says about speed. Data only: the simulator's duration model reads it, the scheduling
// core never does (a policy learns rates from reports).
#pragma once

#include <array>

#include "core/machine/lane.hpp"
#include "core/machine/op_kind.hpp"

namespace hybridgen {

// One kind of kernel on one processor. A figure of 0 means "no limit of its own".
struct KernelCost {
  double fixed_ns = 0;     // launch or dispatch, and the part that does not grow with size
  double bytes_per_s = 0;  // cap of streamed reads and writes; the channels may give less
  double flops_per_s = 0;
  double items_per_s = 0;  // elements scanned, for selection
  double row_ns = 0;       // extra per gathered row
};

// A copy between tiers by the lane of one role.
struct CopyCost {
  double fixed_ns = 0;
  double bytes_per_s = 0;
};

struct ProcessorCosts {
  std::array<KernelCost, kOpKinds> kernels{};
};

struct CopyCosts {
  std::array<CopyCost, kRoles> by_role{};  // only h2d and d2h are copies
};

}  // namespace hybridgen
