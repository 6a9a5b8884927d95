// What micro-benchmarks said of this machine, as plain figures with their spread.
#pragma once

#include <array>
#include <functional>
#include <string>
#include <vector>

#include "core/base/units.hpp"
#include "core/machine/cost.hpp"
#include "core/machine/measurement.hpp"
#include "core/machine/model_shape.hpp"
#include "runtime/calibrate/topology.hpp"

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
  Topology topology;
  int cores = 1;
  LocalLanes lanes;
  int device_node = -1, host_node = -1;        // of the lanes' first cores; -1: the system knows no nodes
  Figure stream_bytes_per_s;                   // all cores of the first node read its memory at once
  std::array<KernelCost, kOpKinds> kernels{};  // fits, by op kind
  std::array<double, kOpKinds> spread{};       // of the larger probe of the kind
  CopyCost h2d, d2h;
  double h2d_spread = 0, d2h_spread = 0;
  double step_gap_ns = 0;

  std::vector<Measurement>
      measured;             // the machine itself, figure by figure, with what an op costs to dispatch
  bool quiet = true;        // false: others used the machine, and the figures hold that too
  std::string disturbance;  // in words, where it was not quiet
  int rounds = 0;           // whose figures were used
  double seconds = 0;
};

struct CalibrateOptions {
  int rounds = 15;            // undisturbed ones; probes are interleaved: each round runs all of them once
  double most_seconds = 150;  // after which no round is begun, disturbed or not
  std::function<void(double done, const std::string& what)> progress;
};

// Measures with dummy weights of the given shape, so that every kernel runs in the shapes it is used in. No
// model, no prompt and no run that is later predicted enters. Rounds during which others were at work, or the
// memory was slower than in most rounds, are repeated while time is left; where most were disturbed all
// count, and the result says that the machine was not quiet. It says so, too, where a bandwidth is not
// steady.
Calibration calibrate(const ModelShape& shape, const CalibrateOptions& options);

}  // namespace hybridgen
