#include "runtime/calibrate/quiet.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <string>
#include <thread>

#include "runtime/calibrate/rounds.hpp"

namespace hybridgen {
namespace {

constexpr double kNapSeconds = 0.5;

double own_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

}  // namespace

double QuietWatch::lap() {
  std::ifstream file("/proc/stat");
  std::string word;
  file >> word;  // "cpu": all processors; user nice system idle iowait irq softirq steal
  double all = 0, idle = 0;
  for (int field = 0; field < 8; ++field) {
    double jiffies = 0;
    if (!(file >> jiffies)) return 0;
    all += jiffies;
    if (field == 3 || field == 4) idle += jiffies;
  }
  const double own = own_seconds();
  const double jiffies = all - all_;
  const double busy = jiffies - (idle - idle_);
  const double mine = (own - own_) * static_cast<double>(sysconf(_SC_CLK_TCK));
  all_ = all;
  idle_ = idle;
  own_ = own;
  return jiffies > 0 ? std::clamp((busy - mine) / jiffies, 0.0, 1.0) : 0;
}

double QuietWatch::wait(double most_seconds, const std::function<void(double)>& tell) {
  double slept = 0;
  lap();
  while (slept < most_seconds) {
    std::this_thread::sleep_for(std::chrono::duration<double>(kNapSeconds));
    slept += kNapSeconds;
    const double others = lap();
    if (others <= Rounds::kMostOthers) break;
    tell(others);
  }
  return slept;
}

}  // namespace hybridgen
