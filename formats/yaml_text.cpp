#include "formats/yaml_text.hpp"

#include <array>
#include <cctype>
#include <charconv>

namespace hybridgen {
namespace {

// Deliberately narrow: what is not obviously a plain word is quoted.
bool plain(const std::string& text) {
  if (text.empty()) return false;
  if (text[0] != '/' && std::isalpha(static_cast<unsigned char>(text[0])) == 0) return false;
  for (const char c : text) {
    const bool word = std::isalnum(static_cast<unsigned char>(c)) != 0;
    if (!word && c != '_' && c != '-' && c != '.' && c != '/') return false;
  }
  constexpr std::array kReserved = {"null",  "Null",  "NULL", "true", "True", "TRUE", "false",
                                    "False", "FALSE", "nan",  "inf",  "NaN",  "Inf"};
  for (const char* word : kReserved) {
    if (text == word) return false;
  }
  return true;
}

}  // namespace

std::string yaml_string(const std::string& text) {
  if (plain(text)) return text;
  constexpr char kHex[] = "0123456789abcdef";
  std::string quoted = "\"";
  for (const char c : text) {
    const auto code = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (c == '\n') {
      quoted += "\\n";
    } else if (code < 0x20 || code == 0x7f) {
      quoted += "\\x";
      quoted += kHex[code >> 4];
      quoted += kHex[code & 0xf];
    } else {
      quoted += c;
    }
  }
  return quoted + "\"";
}

std::string yaml_number(double value) {
  std::array<char, 64> buffer{};
  const auto [end, code] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  static_cast<void>(code);  // 64 characters hold any double
  return {buffer.data(), end};
}

std::string yaml_list(const std::vector<std::string>& names) {
  std::string text = "[";
  for (const std::string& name : names) text += (text.size() > 1 ? ", " : "") + yaml_string(name);
  return text + "]";
}

}  // namespace hybridgen
