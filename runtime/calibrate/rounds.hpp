// Which rounds of a calibration count: those that nobody disturbed, judged by what others took of the
// processors and by a control read, never by the figures themselves.
#pragma once

#include <string>
#include <vector>

#include "core/machine/measurement.hpp"

namespace hybridgen {

class Rounds {
 public:
  // A round was run while others took this share of the processors and the control read was so fast (bytes
  // per second; negative: it failed). The first round only warms up and never counts.
  void add(double others, double control);
  // How many undisturbed ones there are by now, judged by all so far.
  int quiet() const;
  // At least three, and at least half of those run, were undisturbed.
  bool was_quiet() const;
  // By round: the undisturbed ones where it was quiet, else all but the first.
  std::vector<bool> use() const;
  // What was in the way; empty where it was quiet.
  std::string disturbance() const;

  static constexpr double kMostOthers = 0.05;   // of all processors
  static constexpr double kSlowControl = 0.08;  // below the control's median

 private:
  std::vector<bool> undisturbed() const;
  double usual_control() const;

  std::vector<double> others_, control_;
};

// In words, which of the bandwidths spread by more than kSteadySpread: a neighbour whom nothing else shows,
// because he comes and goes within a round or uses another guest's processors. Empty where none does.
std::string unsteady_memory(const std::vector<Measurement>& figures);
inline constexpr double kSteadySpread = 0.10;

// The values of the rounds that count; all of them where none does.
std::vector<double> chosen(const std::vector<double>& values, const std::vector<bool>& use);

}  // namespace hybridgen
