// Tables for people: what the reports of this room are printed with.
#pragma once

#include <string>
#include <vector>

namespace hybridgen {

using TextRow = std::vector<std::string>;

// Columns as wide as their widest cell; the first to the left, the others to the right, indented by two. All
// rows are as long as the first.
std::string text_table(const std::vector<TextRow>& rows);
std::string number(double value, int digits);

}  // namespace hybridgen
