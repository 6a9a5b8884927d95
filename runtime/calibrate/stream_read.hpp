// The machine's own streaming read: the yardstick of every memory-bound kernel.
#pragma once

#include "runtime/calibrate/calibration.hpp"

namespace hybridgen {

// Bytes per second that `threads` pinned threads read together from buffers far larger than any cache.
Figure stream_read(int threads, int rounds);

}  // namespace hybridgen
