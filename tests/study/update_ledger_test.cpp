// The ledger: what is claimed of a kernel, and that nothing is claimed of a source nobody measured.
#include "study/update_ledger.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "core/base/error.hpp"
#include "tests/support/source_path.hpp"

namespace hybridgen {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

BenchResult result_of(const std::string& kernel, const std::string& source, std::vector<double> errors,
                      double bound) {
  BenchResult result;
  result.card = "card";
  result.commit = "c0ffee";
  result.date = "2026-11-24";
  result.kernels = {{kernel, source}};
  for (const double error : errors)
    result.figures.push_back({kernel, "shape", kErrorQuantity, "1", error, 0, bound});
  return result;
}

LedgerLine only_line(const std::vector<LedgerLine>& old, const std::string& source,
                     const std::vector<BenchResult>& results) {
  return updated_ledger(old, {{"attend", source}}, results).at(0);
}

TEST(UpdatedLedger, EveryErrorWithinItsBound_isVerifiedWithTheLargest) {
  const LedgerLine line = only_line({}, "new", {result_of("attend", "new", {1e-6, 4e-6, 2e-6}, 5e-6)});
  EXPECT_TRUE(line.verified);
  EXPECT_DOUBLE_EQ(line.error, 0.8);
  EXPECT_EQ(line.card, "card");
  EXPECT_EQ(line.commit, "c0ffee");
}

TEST(UpdatedLedger, OneErrorOverItsBound_isUnverifiedAndTold) {
  const LedgerLine line = only_line({}, "new", {result_of("attend", "new", {6e-6, 1e-6}, 5e-6)});
  EXPECT_FALSE(line.verified);
  EXPECT_DOUBLE_EQ(line.error, 1.2);
}

TEST(UpdatedLedger, BitForBit_anyErrorIsTooMuch) {
  EXPECT_TRUE(only_line({}, "new", {result_of("attend", "new", {0}, 0)}).verified);
  EXPECT_FALSE(only_line({}, "new", {result_of("attend", "new", {1}, 0)}).verified);
  EXPECT_FALSE(only_line({}, "new", {result_of("attend", "new", {HUGE_VAL}, 1e-6)}).verified);
  EXPECT_FALSE(only_line({}, "new", {result_of("attend", "new", {std::nan("")}, 1e-6)}).verified);
}

TEST(UpdatedLedger, ResultOfAnotherSource_claimsNothing) {
  EXPECT_FALSE(only_line({}, "new", {result_of("attend", "old", {0}, 1)}).verified);
  const LedgerLine before = only_line({}, "old", {result_of("attend", "old", {0}, 1)});
  EXPECT_TRUE(only_line({before}, "old", {}).verified);
  const LedgerLine after = only_line({before}, "new", {});
  EXPECT_FALSE(after.verified);
  EXPECT_EQ(after.source_hash, "new");
  EXPECT_EQ(after.card, "");
}

TEST(UpdatedLedger, SpeedWithoutErrors_isTakenDownAndVerifiesNothing) {
  BenchResult speed = result_of("attend", "new", {}, 1);
  speed.figures.push_back({"attend", "32768 tokens", kShareQuantity, "1", 0.93, 0.01, std::nullopt});
  const LedgerLine line = only_line({}, "new", {speed});
  EXPECT_FALSE(line.verified);
  EXPECT_DOUBLE_EQ(line.stream_share.value(), 0.93);
}

class LedgerFile : public testing::Test {
 protected:
  std::vector<LedgerLine> read(const std::string& text) {
    std::ofstream(path_) << text;
    return read_kernel_ledger(path_);
  }
  std::string path_ =
      testing::TempDir() + "/" + testing::UnitTest::GetInstance()->current_test_info()->name() + "-ledger.md";
};

TEST_F(LedgerFile, WrittenAndRead_isTheSameTable) {
  LedgerLine right = only_line({}, "abc", {result_of("attend", "abc", {1e-6}, 4e-6)});
  right.stream_share = 0.5;
  LedgerLine wrong;
  wrong.kernel = "gemv";
  wrong.source_hash = "def";
  wrong.card = "card";
  wrong.date = "2026-11-24";
  wrong.error = HUGE_VAL;
  const std::string text = kernel_ledger_text({right, wrong});
  EXPECT_THAT(text, HasSubstr("2 kernels, 1 verified\n"));
  EXPECT_EQ(kernel_ledger_text(read(text)), text);
}

TEST(ShippedLedger, ReadAndWritten_isTheSameFile) {
  const std::string path = source_path("traces/VERIFIED.md");
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  EXPECT_EQ(kernel_ledger_text(read_kernel_ledger(path)), text.str());
}

TEST_F(LedgerFile, LineThatClaimsWithoutACard_isRefusedWithFileAndLine) {
  EXPECT_THAT([&] { read("x\n| attend | abc | verified | | | | | |\n"); },
              ThrowsMessage<BadInput>(HasSubstr("ledger.md:2: a verified kernel names its card")));
  EXPECT_THAT([&] { read("| attend | abc | fine | | | | | |\n"); },
              ThrowsMessage<BadInput>(HasSubstr("'fine'")));
}

}  // namespace
}  // namespace hybridgen
