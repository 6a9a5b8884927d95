// What micro-benchmarks said of this machine, as plain figures with their spread.
#pragma once

#include <array>
#include <functional>
#include <string>
#include <vector>

#include "core/base/units.hpp"
#include "core/machine/cost.hpp"
#include "core/machine/model_shape.hpp"

namespace hybridgen {

// How the machine's cores are shared between the lanes: the first ones play the device, the rest are the
// host's.
struct LocalLanes {
  int device_threads = 1;
  int host_threads = 1;
};

// A median and how far its samples lay apart: (90th - 10th percentile) / median.
struct Figure {
  double value = 0;
  double spread = 0;
};

struct Calibration {
  std::string processor_name;  // as the operating system calls it
  int cores = 1;
  Bytes memory = 0;  // of the machine
  LocalLanes lanes;
  Figure stream_bytes_per_s;                   // all lanes' threads read at once
  std::array<KernelCost, kOpKinds> kernels{};  // fits, by op kind
  std::array<double, kOpKinds> spread{};       // of the larger probe of the kind
  CopyCost h2d, d2h;
  double h2d_spread = 0, d2h_spread = 0;
  double step_gap_ns = 0;
};

struct CalibrateOptions {
  int rounds = 15;  // probes are interleaved: each round runs all of them once
  std::function<void(double done, const std::string& what)> progress;
};

// Measures with dummy weights of the given shape, so that every kernel runs in the shapes it is used in. No
// model, no prompt and no run that is later predicted enters. Takes well under a minute.
Calibration calibrate(const ModelShape& shape, const CalibrateOptions& options);

}  // namespace hybridgen
