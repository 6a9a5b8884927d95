// How much of the processors others took: what makes a measurement doubtful although nothing in it failed.
#pragma once

#include <functional>

namespace hybridgen {

class QuietWatch {
 public:
  QuietWatch() { lap(); }
  // Share of all processors that others took since the last lap (or the start), as the system counts it, and
  // what a hypervisor kept from this system; 0 where the system does not say.
  double lap();
  // Sleeps in short naps until others took less than Rounds::kMostOthers during one, for at most so many
  // seconds. Returns the seconds slept. `tell` is called after each nap with the others' share.
  double wait(double most_seconds, const std::function<void(double)>& tell);

 private:
  double all_ = 0;   // jiffies of all processors so far
  double idle_ = 0;  // of those, idle
  double own_ = 0;   // seconds of this process
};

}  // namespace hybridgen
