#include "formats/kernel_ledger.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <iomanip>
#include <sstream>

#include "core/base/error.hpp"

namespace hybridgen {
namespace {

constexpr const char* kHead = R"(# What has been verified on a GPU

Written by `hybridgen bench-machine`. A kernel is `verified` when every error against fp64 stayed within its bound on
the card that the line names, with the source that the hash names: the `.cu` file and the headers of `runtime/cuda`
that it includes. When a source changes, `ctest -R structure.verified` fails until the kernel is measured again or
`tests/structure/check_verified.py --mark-unverified` has taken the new hash down as `unverified`. Error: the largest, as a
share of its bound. Speed: a share of the card's own streaming read, measured in turn with it.

)";
constexpr const char* kColumns =
    "| kernel (`runtime/cuda/kernels/`) | source | on a GPU | error / bound | streaming read | card | commit "
    "| "
    "date |\n|---|---|---|---|---|---|---|---|\n";
constexpr std::size_t kCells = 8;

std::string number(double value) {
  std::ostringstream text;
  text << std::setprecision(3) << value;
  return text.str();
}

std::string percent(double share) {
  return number(share * 100) + " %";
}

std::vector<std::string> cells_of(const std::string& line) {
  std::vector<std::string> cells;
  std::istringstream text(line.substr(1));
  for (std::string cell; std::getline(text, cell, '|');) {
    const std::size_t first = cell.find_first_not_of(' ');
    cells.push_back(first == std::string::npos ? ""
                                               : cell.substr(first, cell.find_last_not_of(' ') - first + 1));
  }
  return cells;
}

// Also "inf", the error of a kernel that gave no number.
bool is_number(const std::string& text, double& value) {
  char* end = nullptr;
  value = std::strtod(text.c_str(), &end);
  return end != text.c_str() && !std::isnan(value);
}

LedgerLine line_of(const std::vector<std::string>& cells, const std::string& where) {
  const auto refuse = [&](const std::string& what) {
    throw BadInput(where + ": " + what +
                   "; tests/structure/check_verified.py --mark-unverified writes the table anew");
  };
  if (cells.size() != kCells)
    refuse(std::to_string(kCells) + " cells are wanted, not " + std::to_string(cells.size()));
  LedgerLine line;
  line.kernel = cells[0];
  line.source_hash = cells[1];
  if (cells[2] != "verified" && cells[2] != "unverified")
    refuse("'" + cells[2] + "' is no state of a kernel");
  line.verified = cells[2] == "verified";
  if (!cells[3].empty() && !is_number(cells[3], line.error)) refuse("'" + cells[3] + "' is no error");
  double share = 0;
  if (is_number(cells[4], share)) {
    line.stream_share = share / 100;
  } else if (!cells[4].empty()) {
    refuse("'" + cells[4] + "' is no share");
  }
  line.card = cells[5];
  line.commit = cells[6];
  line.date = cells[7];
  if (line.verified && (line.card.empty() || line.date.empty() || cells[3].empty() || line.error > 1))
    refuse("a verified kernel names its card, its date and an error within the bound");
  return line;
}

}  // namespace

std::string kernel_ledger_text(const std::vector<LedgerLine>& lines) {
  const auto verified =
      std::count_if(lines.begin(), lines.end(), [](const LedgerLine& line) { return line.verified; });
  std::ostringstream text;
  text << kHead << lines.size() << " kernels, " << verified << " verified\n\n" << kColumns;
  for (const LedgerLine& line : lines) {
    const bool measured = !line.card.empty();
    text << "| " << line.kernel << " | " << line.source_hash << " | "
         << (line.verified ? "verified" : "unverified") << " | " << (measured ? number(line.error) : "")
         << " | " << (line.stream_share ? percent(*line.stream_share) : "") << " | " << line.card << " | "
         << line.commit << " | " << line.date << " |\n";
  }
  return text.str();
}

std::vector<LedgerLine> read_kernel_ledger(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw BadInput(path + ": cannot be read");
  std::vector<LedgerLine> lines;
  int number = 0;
  for (std::string text; std::getline(file, text);) {
    ++number;
    if (text.empty() || text[0] != '|' || text.rfind("| kernel ", 0) == 0 || text.rfind("|---", 0) == 0)
      continue;
    lines.push_back(line_of(cells_of(text), path + ":" + std::to_string(number)));
  }
  return lines;
}

}  // namespace hybridgen
