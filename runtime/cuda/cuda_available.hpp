// Whether this process can drive a GPU, without starting anything on one. Works in every build and on every
// machine: the program is linked to no library of the driver.
#pragma once

#include <string>

namespace hybridgen {

struct CudaStatus {
  bool available = false;
  // Available: the cards, as in "NVIDIA H200 (sm_90)". Else one sentence: what is missing.
  std::string text;
};
CudaStatus cuda_available();

}  // namespace hybridgen
