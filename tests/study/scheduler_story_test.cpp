#include "study/scheduler_story.hpp"

#include <gtest/gtest.h>

namespace hybridgen {
namespace {

Timeline with_notes(const std::vector<SplitNote>& notes) {
  Timeline timeline;
  for (const SplitNote& note : notes) {
    StepEvent& step = timeline.steps.emplace_back();
    step.decision.step = StepId(static_cast<std::int64_t>(timeline.steps.size()) * 4);
    step.decision.rows.push_back({RequestId(0), 100, 1});
    step.decision.rows.back().rows_per_head = note.ratio / 1000;
    step.decision.notes.push_back(note);
  }
  return timeline;
}

SplitNote note(SplitMove move, Ppm ratio, Tokens cap = 0) {
  return {RequestId(0), 1'500'000, 1'000'000, move, ratio, cap, 128};
}

TEST(SchedulerStory, NoScheduler_saysNothing) {
  EXPECT_EQ(scheduler_story({}), "");
}

TEST(SchedulerStory, Shrink_saysWhyAndWhat) {
  EXPECT_EQ(
      scheduler_story(with_notes({note(SplitMove::shrink, 40'000, 500)})),
      "step 4, request 0: the host is late (host 1.500 ms, device 1.000 ms), so it takes less: selects 4 % "
      "of the host's rows, scans the newest 500, keeps 128 tokens on the device\n");
}

TEST(SchedulerStory, MoveAtABound_saysThatItChangesNothing) {
  const std::string up =
      scheduler_story(with_notes({note(SplitMove::grow, 500'000), note(SplitMove::grow, 500'000)}));
  EXPECT_NE(
      up.find("step 4, request 0: the host has slack (host 1.500 ms, device 1.000 ms), so it takes more"),
      std::string::npos)
      << up;
  EXPECT_NE(
      up.find("step 8, request 0: the host has slack (host 1.500 ms, device 1.000 ms), but takes all it may"),
      std::string::npos)
      << up;
  const std::string down =
      scheduler_story(with_notes({note(SplitMove::shrink, 10'000, 32), note(SplitMove::shrink, 10'000, 32)}));
  EXPECT_NE(down.find("but takes the least it may"), std::string::npos) << down;
}

TEST(SchedulerStory, RestAfterRest_isOneLine) {
  const std::string story = scheduler_story(with_notes(
      {note(SplitMove::grow, 60'000), note(SplitMove::keep, 60'000), note(SplitMove::keep, 60'000)}));
  EXPECT_NE(story.find("step 4, request 0: the host has slack"), std::string::npos) << story;
  EXPECT_NE(story.find("step 8, request 0: in balance"), std::string::npos) << story;
  EXPECT_EQ(story.find("step 12"), std::string::npos) << story;
}

TEST(SchedulerStory, Oscillation_isNamedWithPeriodAndAmplitude) {
  std::vector<SplitNote> notes;
  for (int i = 0; i < 24; ++i) {
    notes.push_back(note(i % 2 == 0 ? SplitMove::grow : SplitMove::shrink, i % 2 == 0 ? 60'000 : 40'000));
  }
  EXPECT_NE(scheduler_story(with_notes(notes)).find("a cycle of 2 decisions, amplitude 40 % of their mean"),
            std::string::npos);
}

}  // namespace
}  // namespace hybridgen
