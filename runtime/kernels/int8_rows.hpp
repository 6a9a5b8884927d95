// K and V rows of int8: head_dim integers of -127 to 127, and behind them the row's scale as fp32, 4-byte
// aligned where the rows begin so. Rows are written and read whole.
#pragma once

#include <cstdint>
#include <cstring>

#include "runtime/kernels/kv_type.hpp"

namespace hybridgen::kernels {

inline constexpr float kMostInt8 = 127.0F;
// A row with nothing larger than this becomes all zeros: the reciprocal of its scale would overflow.
inline constexpr float kLeastRow = 0x1p-100F;

inline float scale_of(const std::int8_t* row, int head_dim) {
  float scale;
  std::memcpy(&scale, row + head_dim, sizeof scale);
  return scale;
}

// See load_rows and store_rows of convert.hpp.
void load_int8(int head_dim, const void* from, float* to, std::int64_t rows);
void store_int8(int head_dim, const float* from, void* to, std::int64_t rows);

}  // namespace hybridgen::kernels
