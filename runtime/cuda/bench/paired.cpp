#include "runtime/cuda/bench/paired.hpp"

#include "runtime/calibrate/samples.hpp"

namespace hybridgen::cuda {
namespace {

Measurement rate_of(const TimedCase& timed, const std::vector<double>& rates) {
  const Figure figure = figure_of(rates);
  const char* quantity = timed.is_flops ? "arithmetic rate" : "rate";
  const double unit = timed.is_flops ? 1e12 : 1e9;
  return {timed.kernel,        timed.condition, quantity,    timed.is_flops ? "TFLOP/s" : "GB/s",
          figure.value / unit, figure.spread,   std::nullopt};
}

}  // namespace

std::vector<Measurement> time_in_turn(const TimedCase& yardstick, const std::vector<TimedCase>& cases,
                                      int rounds) {
  std::vector<double> reads;
  std::vector<std::vector<double>> rates(cases.size());
  std::vector<std::vector<double>> shares(cases.size());
  for (int round = 0; round < rounds; ++round) {
    reads.push_back(yardstick.work / yardstick.seconds());
    for (std::size_t i = 0; i < cases.size(); ++i) {
      rates[i].push_back(cases[i].work / cases[i].seconds());
      shares[i].push_back(rates[i].back() / reads.back());
    }
  }
  std::vector<Measurement> figures = {rate_of(yardstick, reads)};
  for (std::size_t i = 0; i < cases.size(); ++i) {
    figures.push_back(rate_of(cases[i], rates[i]));
    if (cases[i].is_flops) continue;
    const Figure share = figure_of(shares[i]);
    figures.push_back({cases[i].kernel, cases[i].condition, "share of streaming read", "1", share.value,
                       share.spread, std::nullopt});
  }
  return figures;
}

}  // namespace hybridgen::cuda
