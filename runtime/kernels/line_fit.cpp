#include "runtime/kernels/line_fit.hpp"

namespace hybridgen::kernels {

Line fit_line(const float* x, const float* y, std::int64_t n) {
  if (n == 0) return {};
  double mean_x = 0;
  double mean_y = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    mean_x += x[i];
    mean_y += y[i];
  }
  mean_x /= static_cast<double>(n);
  mean_y /= static_cast<double>(n);
  double spread = 0;
  double together = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    const double dx = x[i] - mean_x;
    spread += dx * dx;
    together += dx * (y[i] - mean_y);
  }
  const double slope = spread > 0 ? together / spread : 1;
  return {static_cast<float>(slope), static_cast<float>(mean_y - slope * mean_x)};
}

}  // namespace hybridgen::kernels
