#include "runtime/calibrate/rounds.hpp"

#include <algorithm>
#include <cmath>
#include <sstream>

namespace hybridgen {
namespace {

double median_of(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

int count_of(const std::vector<bool>& flags) {
  return static_cast<int>(std::count(flags.begin(), flags.end(), true));
}

}  // namespace

void Rounds::add(double others, double control) {
  others_.push_back(others);
  control_.push_back(control);
}

double Rounds::usual_control() const {
  std::vector<double> rates;
  for (std::size_t i = 1; i < control_.size(); ++i) {
    if (control_[i] >= 0) rates.push_back(control_[i]);
  }
  return median_of(std::move(rates));
}

std::vector<bool> Rounds::undisturbed() const {
  const double least = usual_control() * (1 - kSlowControl);
  std::vector<bool> flags;
  for (std::size_t i = 0; i < others_.size(); ++i) {
    flags.push_back(i > 0 && others_[i] <= kMostOthers && control_[i] >= 0 && control_[i] >= least);
  }
  return flags;
}

int Rounds::quiet() const {
  return count_of(undisturbed());
}

bool Rounds::was_quiet() const {
  return quiet() >= 3 && 2 * quiet() >= static_cast<int>(others_.size()) - 1;
}

std::vector<bool> Rounds::use() const {
  if (was_quiet()) return undisturbed();
  std::vector<bool> all(others_.size(), true);
  if (all.size() > 1) all.front() = false;
  return all;
}

std::string Rounds::disturbance() const {
  if (was_quiet()) return "";
  int busy = 0, slow = 0;
  const double least = usual_control() * (1 - kSlowControl);
  for (std::size_t i = 1; i < others_.size(); ++i) {
    busy += others_[i] > kMostOthers ? 1 : 0;
    slow += control_[i] < least ? 1 : 0;
  }
  std::ostringstream text;
  text << "of " << others_.size() - 1 << " rounds, in " << busy << " others took more than "
       << std::lround(kMostOthers * 100) << " % of the processors (median "
       << std::lround(median_of({others_.begin() + 1, others_.end()}) * 100) << " %), in " << slow
       << " a plain read was more than " << std::lround(kSlowControl * 100) << " % slower than usual";
  return text.str();
}

std::string unsteady_memory(const std::vector<Measurement>& figures) {
  int all = 0, unsteady = 0;
  const Measurement* worst = nullptr;
  for (const Measurement& m : figures) {
    if (m.unit != "GB/s" || (m.subject != "bandwidth" && m.subject != "core to node")) continue;
    ++all;
    unsteady += m.spread > kSteadySpread ? 1 : 0;
    if (!worst || m.spread > worst->spread) worst = &m;
  }
  if (unsteady == 0) return "";
  std::ostringstream text;
  text << unsteady << " of " << all << " bandwidths spread by more than " << std::lround(kSteadySpread * 100)
       << " %, most of all " << worst->condition << ", " << worst->quantity << ": "
       << std::lround(worst->spread * 100) << " %";
  return text.str();
}

std::vector<double> chosen(const std::vector<double>& values, const std::vector<bool>& use) {
  std::vector<double> some;
  for (std::size_t i = 0; i < values.size() && i < use.size(); ++i) {
    if (use[i]) some.push_back(values[i]);
  }
  return some.empty() ? values : some;
}

}  // namespace hybridgen
