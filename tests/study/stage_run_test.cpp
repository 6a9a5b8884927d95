// run_stages: order, budget, what is kept and what failed, on a clock of the test's own.
#include "study/stage_run.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "core/base/error.hpp"

namespace hybridgen {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

class StageRun : public testing::Test {
 protected:
  StageRun()
      : folder_(fs::path(testing::TempDir()) /
                testing::UnitTest::GetInstance()->current_test_info()->name()) {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  ~StageRun() override { fs::remove_all(folder_); }

  Stage stage(
      const std::string& name, double minutes, std::function<void()> body = [] {}) {
    return {name, "a stage", minutes, [this, name, minutes, body] {
              measured_.push_back(name);
              seconds_ += minutes * 60;
              body();
              return std::vector<Measurement>{{name, "here", "speed", "GB/s", 2.5, 0.1, std::nullopt}};
            }};
  }
  std::vector<StageState> run(const std::vector<Stage>& stages, double budget_minutes,
                              const std::vector<std::string>& only = {}) {
    StageRunOptions options;
    options.folder = folder_.string();
    options.budget_minutes = budget_minutes;
    options.only = only;
    options.head.card = "a card";
    options.head.kernels = {{"attend", "abc"}};
    options.seconds = [this] { return seconds_; };
    options.line = [this](const std::string& text) { lines_ += text + "\n"; };
    std::vector<StageState> states;
    for (const StageOutcome& outcome : run_stages(stages, options)) states.push_back(outcome.state);
    return states;
  }
  std::string text(const std::string& name) const {
    std::ostringstream text;
    text << std::ifstream(folder_ / name).rdbuf();
    return text.str();
  }

  fs::path folder_;
  double seconds_ = 1000;  // clocks do not start at 0
  std::vector<std::string> measured_;
  std::string lines_;
};

TEST_F(StageRun, EveryStage_inTheOrderGiven_leavesItsResult) {
  EXPECT_THAT(run({stage("b", 1), stage("a", 1)}, 10), ElementsAre(StageState::done, StageState::done));
  EXPECT_THAT(measured_, ElementsAre("b", "a"));
  const BenchResult result = read_bench_result((folder_ / "a.json").string());
  EXPECT_EQ(result.stage, "a");
  EXPECT_EQ(result.card, "a card");
  EXPECT_EQ(result.kernels.at("attend"), "abc");
  EXPECT_DOUBLE_EQ(result.seconds, 60);
  ASSERT_EQ(result.figures.size(), 1U);
  EXPECT_EQ(result.figures[0].value, 2.5);
  EXPECT_EQ(text("stages.csv"), "stage,state,duration_s,message\nb,done,60,\na,done,60,\n");
  EXPECT_THAT(lines_, HasSubstr("[2/2] a: done in 60 s"));
}

TEST_F(StageRun, SecondRun_measuresOnlyWhatIsMissing) {
  run({stage("a", 1), stage("b", 5)}, 3);
  EXPECT_THAT(measured_, ElementsAre("a"));
  EXPECT_THAT(run({stage("a", 1), stage("b", 5)}, 6), ElementsAre(StageState::kept, StageState::done));
  EXPECT_THAT(measured_, ElementsAre("a", "b"));
}

TEST_F(StageRun, StageThatIsTooLong_letsAShorterOneTakeTheRestOfTheBudget) {
  EXPECT_THAT(run({stage("a", 2), stage("long", 4), stage("short", 1)}, 5),
              ElementsAre(StageState::done, StageState::no_time, StageState::done));
  EXPECT_FALSE(fs::exists(folder_ / "long.json"));
  EXPECT_THAT(text("stages.csv"), HasSubstr("long,no time,0,needs about 4 minutes and 3 are left"));
}

TEST_F(StageRun, FailingStage_isRecordedTheNextGoesOnAndALaterRunTriesAgain) {
  bool broken = true;
  const std::vector<Stage> stages = {stage("a", 1,
                                           [&] {
                                             if (broken) throw std::runtime_error("a kernel, \"stuck\"");
                                           }),
                                     stage("b", 1)};
  EXPECT_THAT(run(stages, 10), ElementsAre(StageState::failed, StageState::done));
  EXPECT_FALSE(fs::exists(folder_ / "a.json"));
  EXPECT_THAT(text("stages.csv"), HasSubstr("a,failed,60,a kernel   stuck \n"));
  broken = false;
  EXPECT_THAT(run(stages, 10), ElementsAre(StageState::done, StageState::kept));
}

TEST_F(StageRun, WhatTheMachineLacks_isNoFailure) {
  EXPECT_THAT(run({stage("a", 1, [] { throw NotAvailable("no model folder"); })}, 10),
              ElementsAre(StageState::unavailable));
  EXPECT_THAT(text("stages.csv"), HasSubstr("a,unavailable,60,no model folder"));
}

TEST_F(StageRun, OnlyOneStage_isMeasuredAgainThoughItsResultIsThere) {
  const std::vector<Stage> stages = {stage("a", 1), stage("b", 1)};
  run(stages, 10);
  EXPECT_THAT(run(stages, 10, {"b"}), ElementsAre(StageState::done));
  EXPECT_THAT(measured_, ElementsAre("a", "b", "b"));
  EXPECT_THAT([&] { run(stages, 10, {"bb"}); }, ThrowsMessage<BadInput>(HasSubstr("bb")));
}

TEST_F(StageRun, ResultThatIsNone_namesFileAndRemedy) {
  std::ofstream(folder_ / "a.json") << "{\"format\": 1}";
  EXPECT_THAT([&] { read_bench_result((folder_ / "a.json").string()); },
              ThrowsMessage<BadInput>(HasSubstr("remove the file")));
}

TEST_F(StageRun, ErrorThatIsNoNumber_comesBackInfinite) {
  BenchResult result;
  result.figures = {{"attend", "x", "error", "1", HUGE_VAL, 0, 1e-6}};
  write_whole((folder_ / "a.json").string(), to_json(result));
  const BenchResult back = read_bench_result((folder_ / "a.json").string());
  EXPECT_FALSE(within_bound(back.figures.at(0)));
}

}  // namespace
}  // namespace hybridgen
