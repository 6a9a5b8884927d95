// The driver's own counters of power and energy (NVML), opened while running: nothing is linked to it.
#pragma once

#include <memory>
#include <optional>

namespace hybridgen::cuda {

class Nvml {
 public:
  // NotAvailable with one sentence where the library or the card's counter is missing. name: of the library.
  explicit Nvml(const char* name = "libnvidia-ml.so.1");
  ~Nvml();
  Nvml(const Nvml&) = delete;
  Nvml& operator=(const Nvml&) = delete;

  double joules() const;  // since the driver was loaded, of card 0

 private:
  struct Calls;
  std::unique_ptr<Calls> calls_;
};

}  // namespace hybridgen::cuda
