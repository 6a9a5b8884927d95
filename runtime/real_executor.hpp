// What the executors of a real machine have beyond the port: token ids, and doubts about their timings.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/executor/executor.hpp"

namespace hybridgen {

class RealExecutor : public Executor {
 public:
  // Only between steps. All tokens of a request: its prompt, then the generated ones.
  virtual const std::vector<std::int32_t>& tokens(RequestId request) const = 0;
  // What makes timings of this run doubtful, in words; empty when nothing does.
  virtual std::vector<std::string> warnings() const = 0;
};

}  // namespace hybridgen
