// What the card knows of the rows that it kept of one layer of one slot: see runtime/host/kept_rows.hpp.
#pragma once

#include <cmath>
#include <cstdint>

namespace hybridgen::cuda {

struct KeptStore {
  std::int32_t* positions = nullptr;  // [kv_head][slots]
  float* mass = nullptr;              // [kv_head][slots]
  std::int32_t* next = nullptr;       // [kv_head]: where the new token's row goes
  std::int64_t slots = 0;
};

// The mass of a row that was chosen by none: it stays.
inline constexpr float kStays = HUGE_VALF;

}  // namespace hybridgen::cuda
