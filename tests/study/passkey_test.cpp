// Passkey texts: as long as asked for, the number where it was asked for, and an answer judged by its digits.
#include "study/passkey.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace hybridgen {
namespace {

const std::vector<std::int32_t> kHead = {1, 2};
const std::vector<std::int32_t> kFiller = {10, 11, 12};
const std::vector<std::int32_t> kHidden = {7, 8, 9, 9};

std::ptrdiff_t place_of_key(const std::vector<std::int32_t>& text) {
  return std::find(text.begin(), text.end(), 7) - text.begin();
}

TEST(PasskeyText, AnyDepth_asLongAsWholeRepetitionsAllow) {
  for (const int depth : {0, 250, 500, 1000}) {
    // 100 - 2 - 4 = 94 tokens of room: 31 repetitions of three.
    EXPECT_EQ(passkey_text(kHead, kFiller, kHidden, 100, depth).size(), 2u + 4u + 93u) << depth;
  }
}

TEST(PasskeyText, Depth_isTheShareOfFillerBeforeTheKey) {
  EXPECT_EQ(place_of_key(passkey_text(kHead, kFiller, kHidden, 100, 0)), 2);
  EXPECT_EQ(place_of_key(passkey_text(kHead, kFiller, kHidden, 100, 500)), 2 + 15 * 3);
  EXPECT_EQ(place_of_key(passkey_text(kHead, kFiller, kHidden, 100, 1000)), 2 + 31 * 3);
}

TEST(PasskeyText, NoRoom_headAndKeyAlone) {
  EXPECT_EQ(passkey_text(kHead, kFiller, kHidden, 5, 500), (std::vector<std::int32_t>{1, 2, 7, 8, 9, 9}));
}

TEST(Passkey, Trials_fiveDigitsEachAndDifferent) {
  std::vector<std::string> keys;
  for (int trial = 0; trial < 50; ++trial) {
    keys.push_back(passkey(trial));
    EXPECT_EQ(keys.back().size(), 5u);
    EXPECT_EQ(keys.back(), passkey(trial));
    EXPECT_NE(PasskeyWords::hidden(keys.back()).find(keys.back()), std::string::npos);
  }
  std::sort(keys.begin(), keys.end());
  EXPECT_EQ(std::adjacent_find(keys.begin(), keys.end()), keys.end());
}

TEST(Passkey, Answer_isJudgedByItsFirstFiveDigits) {
  EXPECT_TRUE(finds_key(" 12345.", "12345"));
  EXPECT_TRUE(finds_key(" it is 12345, I think", "12345"));
  EXPECT_FALSE(finds_key(" 1234", "12345"));
  EXPECT_FALSE(finds_key(" 54321 or 12345", "12345"));
  EXPECT_FALSE(finds_key(" 1 2 3 4 5", "12345"));
  EXPECT_FALSE(finds_key("", "12345"));
}

TEST(PasskeyTable, Cells_onePolicyBesideTheOther) {
  const std::vector<PasskeyCell> cells = {
      {"full", 512, 0, 1, 1}, {"full", 512, 1000, 0, 1}, {"quest", 512, 0, 0, 1}};
  const std::string table = passkey_table(cells);
  EXPECT_NE(table.find("full, tokens  0 %  100 %\n  512           1/1    0/1"), std::string::npos) << table;
  EXPECT_NE(table.find("512            0/1      -"), std::string::npos) << table;
  EXPECT_NE(passkey_json(cells).find("\"policy\": \"full\", \"tokens\": 512, \"depth\": 1.000, \"found\": 0"),
            std::string::npos);
}

}  // namespace
}  // namespace hybridgen
