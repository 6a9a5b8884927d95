// What the host executor adds to its kernels: host time per op, the hand-over between lanes, a helper's
// waking, the gap between steps, wake-ups of the driver and allocations.
#pragma once

namespace hybridgen::testing {

void run_dispatch();  // prints

}  // namespace hybridgen::testing
