// Pinned threads, one per core, that run a piece of work at once and time it. They sleep in between.
#pragma once

#include <functional>
#include <memory>
#include <vector>

namespace hybridgen {

class Crew {
 public:
  explicit Crew(int cores);
  ~Crew();

  // Runs work(i) on cores[i], all starting together. Seconds from the first start to the last end, with a
  // minus sign where the system took one of the cores away meanwhile: such a time says little.
  double seconds(const std::vector<int>& cores, const std::function<void(int)>& work);

 private:
  struct Worker;
  std::vector<std::unique_ptr<Worker>> workers_;  // by core
};

}  // namespace hybridgen
