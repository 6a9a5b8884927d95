// Random K and V for steps whose prompt nobody computed.
#pragma once

#include <vector>

#include "runtime/host/request_buffers.hpp"

namespace hybridgen::cuda {

// Every slot of every store of the requests: values of a normal distribution, the same for equal plans.
void fill_with_random_kv(const ModelShape& shape, const MemoryPlan& plan,
                         const std::vector<RequestBuffers>& slots);

}  // namespace hybridgen::cuda
