#include "runtime/cuda/bench/nvml.hpp"

#include <dlfcn.h>

#include <string>

#include "core/base/error.hpp"

namespace hybridgen::cuda {

// Of the library's interface only what is used; 0 is success (NVML API reference, "NVML_SUCCESS").
struct Nvml::Calls {
  using Device = void*;
  explicit Calls(const char* name) : library(dlopen(name, RTLD_NOW | RTLD_LOCAL)) {
    if (library == nullptr)
      throw NotAvailable("energy: " + std::string(name) + " of the NVIDIA driver is not on this machine");
  }
  ~Calls() { dlclose(library); }
  template <class Function>
  void find(Function& function, const char* name) const {
    function = reinterpret_cast<Function>(dlsym(library, name));
    if (function == nullptr) throw NotAvailable("energy: the driver's NVML has no " + std::string(name));
  }

  void* library;
  int (*init)() = nullptr;
  int (*shutdown)() = nullptr;
  int (*device_at)(unsigned, Device*) = nullptr;
  int (*total_energy)(Device, unsigned long long*) = nullptr;  // millijoules
  Device device = nullptr;
};

Nvml::Nvml(const char* name) : calls_(std::make_unique<Calls>(name)) {
  calls_->find(calls_->init, "nvmlInit_v2");
  calls_->find(calls_->shutdown, "nvmlShutdown");
  calls_->find(calls_->device_at, "nvmlDeviceGetHandleByIndex_v2");
  calls_->find(calls_->total_energy, "nvmlDeviceGetTotalEnergyConsumption");
  unsigned long long millijoules = 0;
  if (calls_->init() != 0) throw NotAvailable("energy: NVML does not start");
  if (calls_->device_at(0, &calls_->device) != 0 || calls_->total_energy(calls_->device, &millijoules) != 0) {
    calls_->shutdown();
    throw NotAvailable("energy: NVML tells no energy of this card");
  }
}

Nvml::~Nvml() {
  calls_->shutdown();
}

double Nvml::joules() const {
  unsigned long long millijoules = 0;
  if (calls_->total_energy(calls_->device, &millijoules) != 0)
    throw NotAvailable("energy: NVML stopped telling the card's energy");
  return static_cast<double>(millijoules) * 1e-3;
}

}  // namespace hybridgen::cuda
