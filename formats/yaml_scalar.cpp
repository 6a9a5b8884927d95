#include "formats/yaml_scalar.hpp"

#include <algorithm>
#include <array>
#include <cctype>

namespace hybridgen {
namespace {

bool digit(char c) {
  return c >= '0' && c <= '9';
}

// A number taken apart: its digits without the point, and the power of ten that the last one stands for.
struct Parts {
  bool negative = false;
  std::string digits;
  int exponent = 0;
  bool valid = false;
};

Parts take_apart(const std::string& text) {
  Parts parts;
  std::size_t i = 0;
  if (i < text.size() && (text[i] == '+' || text[i] == '-')) parts.negative = text[i++] == '-';
  for (; i < text.size() && digit(text[i]); ++i) parts.digits += text[i];
  if (i < text.size() && text[i] == '.') {
    for (++i; i < text.size() && digit(text[i]); ++i, --parts.exponent) parts.digits += text[i];
  }
  if (parts.digits.empty()) return parts;
  if (i < text.size() && (text[i] == 'e' || text[i] == 'E')) {
    ++i;
    bool negative = false;
    if (i < text.size() && (text[i] == '+' || text[i] == '-')) negative = text[i++] == '-';
    int power = 0;
    const std::size_t first = i;
    for (; i < text.size() && digit(text[i]); ++i) power = std::min(power * 10 + (text[i] - '0'), 100'000);
    if (i == first) return parts;
    parts.exponent += negative ? -power : power;
  }
  parts.valid = i == text.size();
  return parts;
}

}  // namespace

bool is_number(const YamlNode& node) {
  return node.kind == YamlKind::scalar && !node.quoted && take_apart(node.text).valid;
}

bool is_not_finite(const YamlNode& node) {
  if (node.kind != YamlKind::scalar || node.quoted) return false;
  std::string text = node.text;
  if (!text.empty() && (text[0] == '+' || text[0] == '-')) text.erase(0, 1);
  if (!text.empty() && text[0] == '.') text.erase(0, 1);
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text == "nan" || text == "inf";
}

Decimal to_decimal(const std::string& text, int digits) {
  Parts parts = take_apart(text);
  while (parts.digits.size() > 1 && parts.digits.back() == '0') {
    parts.digits.pop_back();
    ++parts.exponent;
  }
  if (parts.digits.find_first_not_of('0') == std::string::npos) return {};
  const int shift = parts.exponent + digits;
  if (shift < 0) return {0, DecimalFault::too_fine};
  if (shift > 20) return {0, DecimalFault::too_large};
  parts.digits.append(static_cast<std::size_t>(shift), '0');
  std::int64_t value = 0;
  for (const char c : parts.digits) {
    // Accumulated downwards: the least integer has no positive counterpart.
    if (__builtin_mul_overflow(value, 10, &value) || __builtin_sub_overflow(value, c - '0', &value)) {
      return {0, DecimalFault::too_large};
    }
  }
  if (!parts.negative && __builtin_sub_overflow(std::int64_t{0}, value, &value)) {
    return {0, DecimalFault::too_large};
  }
  return {value, DecimalFault::none};
}

std::string description_of(const YamlNode& node) {
  switch (node.kind) {
    case YamlKind::null:
      return "nothing";
    case YamlKind::sequence:
      return "a list";
    case YamlKind::mapping:
      return "a mapping";
    case YamlKind::scalar:
      break;
  }
  if (is_not_finite(node)) return node.text;
  if (is_number(node)) return "the number " + node.text;
  constexpr std::size_t kShown = 40;
  const bool longer = node.text.size() > kShown;
  return "text '" + node.text.substr(0, kShown) + (longer ? "...'" : "'");
}

}  // namespace hybridgen
