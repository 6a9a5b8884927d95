#include "study/text_table.hpp"

#include <algorithm>
#include <cstdio>

namespace hybridgen {

std::string number(double value, int digits) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

std::string text_table(const std::vector<TextRow>& rows) {
  std::vector<std::size_t> widths(rows.front().size());
  for (const TextRow& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const TextRow& row : rows) {
    text.append(2, ' ').append(row[0]).append(widths[0] - row[0].size(), ' ');
    for (std::size_t i = 1; i < row.size(); ++i)
      text.append(2 + widths[i] - row[i].size(), ' ').append(row[i]);
    text.append(1, '\n');
  }
  return text;
}

}  // namespace hybridgen
