// Passkey retrieval: a number hidden in filler text, asked for at the end.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/units.hpp"

namespace hybridgen {

// The words, to be turned into ids piece by piece, so that a text's length is exact in tokens.
struct PasskeyWords {
  static std::string head();                          // says that a number will be asked for
  static std::string filler();                        // repeated
  static std::string hidden(const std::string& key);  // the number, in a sentence
  static std::string question();
  static std::string answer_begins();  // what the answer is begun with, before the number
};

// The key of a trial: five digits, by the trial's number alone.
std::string passkey(int trial);

// Head, filler and the hidden sentence: as much filler as `tokens` allow, whole repetitions only, so the text
// is shorter by less than one. depth in thousandths: of the filler before the hidden sentence; 0 is the
// beginning, 1000 the end.
std::vector<std::int32_t> passkey_text(const std::vector<std::int32_t>& head,
                                       const std::vector<std::int32_t>& filler,
                                       const std::vector<std::int32_t>& hidden, Tokens tokens, int depth);

// The first five digits in a row of the answer are the key.
bool finds_key(const std::string& answer, const std::string& key);

struct PasskeyCell {
  std::string policy;
  Tokens length = 0;
  int depth = 0;  // thousandths
  int found = 0;
  int trials = 0;
};

// For people: one table per policy, a row per length, a column per depth; "2/3" is two of three found.
std::string passkey_table(const std::vector<PasskeyCell>& cells);
// For scripts.
std::string passkey_json(const std::vector<PasskeyCell>& cells);

}  // namespace hybridgen
