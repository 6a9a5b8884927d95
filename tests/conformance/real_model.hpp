// SmolLM2 and the text that figures of it are measured on; tests skip where a machine lacks them.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "cli/forced_run.hpp"
#include "cli/host_model_loader.hpp"
#include "tests/support/host_world.hpp"
#include "tests/support/source_path.hpp"

namespace hybridgen::testing {

inline const char* kText = "/usr/share/common-licenses/GPL-3";

inline std::string model_folder() {
  return source_path("models/smollm2-135m-instruct");
}

// Why the model cannot be used; empty: it can.
inline std::string missing_model() {
  const std::string weights = model_folder() + "/model.safetensors";
  return std::filesystem::exists(weights) ? "" : weights + " is not there; ./dev setup makes it";
}

// An experiment on the two-lane test host; what is not the model's or the machine's is the test's to set.
inline cli::LoadedExperiment real_experiment() {
  return {{}, {host_machine(), "", ""}, find_model(model_folder())};
}

}  // namespace hybridgen::testing
