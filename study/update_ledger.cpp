#include "study/update_ledger.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace hybridgen {
namespace {

bool speaks_of(const BenchResult& result, const std::string& kernel, const std::string& source) {
  const auto found = result.kernels.find(kernel);
  return found != result.kernels.end() && found->second == source;
}

// The error as a share of its bound; infinite where there is none, or where a bound of 0 (bit for bit) is
// missed.
double share_of_bound(const Measurement& figure) {
  constexpr double kInfinite = std::numeric_limits<double>::infinity();
  if (!figure.bound || std::isnan(figure.value)) return kInfinite;
  if (*figure.bound > 0) return figure.value / *figure.bound;
  return figure.value > 0 ? kInfinite : 0;
}

// Takes what one result says of the kernel into its line; true where it measured an error.
bool take(const BenchResult& result, LedgerLine& line) {
  bool checked = false;
  for (const Measurement& figure : result.figures) {
    if (figure.subject != line.kernel) continue;
    if (figure.quantity == kErrorQuantity) {
      line.error = std::max(checked ? line.error : 0, share_of_bound(figure));
      checked = true;
    } else if (figure.quantity == kShareQuantity) {
      line.stream_share = std::max(line.stream_share.value_or(0), figure.value);
    }
  }
  if (!checked) return false;
  line.verified = line.error <= 1;
  line.commit = result.commit;
  line.card = result.card;
  line.date = result.date;
  return true;
}

}  // namespace

std::vector<LedgerLine> updated_ledger(const std::vector<LedgerLine>& old,
                                       const std::map<std::string, std::string>& sources,
                                       const std::vector<BenchResult>& results) {
  std::vector<LedgerLine> lines;
  for (const auto& [kernel, source] : sources) {
    LedgerLine line;
    line.kernel = kernel;
    line.source_hash = source;
    bool checked = false;
    for (const BenchResult& result : results) {
      if (speaks_of(result, kernel, source)) checked |= take(result, line);
    }
    if (!checked) {
      const auto before =
          std::find_if(old.begin(), old.end(), [&kernel = kernel, &source = source](const LedgerLine& each) {
            return each.kernel == kernel && each.source_hash == source;
          });
      const std::optional<double> share = line.stream_share;
      if (before != old.end()) line = *before;
      if (share) line.stream_share = share;
    }
    lines.push_back(line);
  }
  return lines;
}

}  // namespace hybridgen
