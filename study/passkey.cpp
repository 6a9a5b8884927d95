#include "study/passkey.hpp"

#include <algorithm>
#include <cctype>
#include <set>
#include <sstream>

#include "core/base/check.hpp"
#include "core/base/hash.hpp"
#include "study/text_table.hpp"

namespace hybridgen {
namespace {

constexpr std::size_t kDigits = 5;

// Distinct values in order.
template <class Field>
auto distinct(const std::vector<PasskeyCell>& cells, const Field& field) {
  std::set<std::decay_t<decltype(field(cells.front()))>> values;
  for (const PasskeyCell& cell : cells) values.insert(field(cell));
  return values;
}

std::string percent(int thousandths) {
  return number(thousandths / 10.0, 0) + " %";
}

}  // namespace

std::string PasskeyWords::head() {
  return "Somewhere in the following text there is a pass key. Find it and keep it in mind: I will ask you "
         "for "
         "it at the end.\n\n";
}
std::string PasskeyWords::filler() {
  return " The river runs past the old mill. A miller sleeps until noon. Clouds move over the hill and "
         "nothing "
         "else happens today.";
}
std::string PasskeyWords::hidden(const std::string& key) {
  return " The pass key is " + key + ". Remember it: " + key + " is the pass key.";
}
std::string PasskeyWords::question() {
  return "\n\nWhat is the pass key?";
}
std::string PasskeyWords::answer_begins() {
  return "The pass key is";
}

std::string passkey(int trial) {
  Hash64 hash;
  hash.add(trial);
  return std::to_string(10'000 + (hash.value() >> 8) % 90'000);
}

std::vector<std::int32_t> passkey_text(const std::vector<std::int32_t>& head,
                                       const std::vector<std::int32_t>& filler,
                                       const std::vector<std::int32_t>& hidden, Tokens tokens, int depth) {
  HG_CHECK(!filler.empty() && 0 <= depth && depth <= 1000, "a filler of nothing, or depth " << depth);
  const auto room = tokens - static_cast<Tokens>(head.size() + hidden.size());
  const Tokens repetitions = std::max<Tokens>(0, room / static_cast<Tokens>(filler.size()));
  const Tokens before = repetitions * depth / 1000;
  std::vector<std::int32_t> text = head;
  const auto append = [&](const std::vector<std::int32_t>& piece) {
    text.insert(text.end(), piece.begin(), piece.end());
  };
  for (Tokens i = 0; i < before; ++i) append(filler);
  append(hidden);
  for (Tokens i = before; i < repetitions; ++i) append(filler);
  return text;
}

bool finds_key(const std::string& answer, const std::string& key) {
  std::string digits;
  for (const char c : answer) {
    if (std::isdigit(static_cast<unsigned char>(c)) != 0) {
      digits += c;
    } else if (digits.size() >= kDigits) {
      break;
    } else {
      digits.clear();
    }
  }
  return digits.substr(0, kDigits) == key;
}

std::string passkey_table(const std::vector<PasskeyCell>& cells) {
  if (cells.empty()) return "";
  const auto lengths = distinct(cells, [](const PasskeyCell& cell) { return cell.length; });
  const auto depths = distinct(cells, [](const PasskeyCell& cell) { return cell.depth; });
  std::vector<std::string> policies;
  for (const PasskeyCell& cell : cells) {
    if (std::find(policies.begin(), policies.end(), cell.policy) == policies.end())
      policies.push_back(cell.policy);
  }
  std::string text;
  for (const std::string& policy : policies) {
    TextRow header = {policy + ", tokens"};
    for (const int depth : depths) header.push_back(percent(depth));
    std::vector<TextRow> table = {header};
    for (const Tokens length : lengths) {
      TextRow row = {std::to_string(length)};
      for (const int depth : depths) {
        const auto cell = std::find_if(cells.begin(), cells.end(), [&](const PasskeyCell& each) {
          return each.policy == policy && each.length == length && each.depth == depth;
        });
        row.push_back(cell == cells.end() ? "-"
                                          : std::to_string(cell->found) + "/" + std::to_string(cell->trials));
      }
      table.push_back(row);
    }
    text += text_table(table);
  }
  return text;
}

std::string passkey_json(const std::vector<PasskeyCell>& cells) {
  std::ostringstream json;
  json << "{\"cells\": [";
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const PasskeyCell& cell = cells[i];
    json << (i == 0 ? "" : ",") << "\n  {\"policy\": \"" << cell.policy << "\", \"tokens\": " << cell.length
         << ", \"depth\": " << number(cell.depth / 1000.0, 3) << ", \"found\": " << cell.found
         << ", \"trials\": " << cell.trials << "}";
  }
  json << "\n]}\n";
  return json.str();
}

}  // namespace hybridgen
