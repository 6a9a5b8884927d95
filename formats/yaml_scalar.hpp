// What a plain YAML scalar is, read from its characters.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "formats/yaml_tree.hpp"

namespace hybridgen {

// True for a number in decimal notation: sign, digits, point, exponent. Not for .nan, .inf, 0x10 or 1_000.
bool is_number(const YamlNode& node);
// True for .nan, .inf and their relatives.
bool is_not_finite(const YamlNode& node);

enum class DecimalFault { none, too_fine, too_large };
struct Decimal {
  std::int64_t value = 0;
  DecimalFault fault = DecimalFault::none;
};
// The number as an integer of 10^-digits, from its characters alone. Checked: is_number().
Decimal to_decimal(const std::string& text, int digits);

// "text 'abc'", "the number 5", "a list", for messages.
std::string description_of(const YamlNode& node);

}  // namespace hybridgen
