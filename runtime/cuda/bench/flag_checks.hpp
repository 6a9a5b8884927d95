// The check that no emulation can make: stores of a CPU and of a card, seen by the other side in order.
#pragma once

#include "runtime/cuda/bench/kernel_checks.hpp"

namespace hybridgen::cuda {

// Counts words that were old when the flag behind them had been seen.
KernelCheck flag_check();

}  // namespace hybridgen::cuda
