// The recorded real runs that ship with the project, replayed by the planner as it is now.
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <set>

#include "core/base/check.hpp"
#include "core/base/error.hpp"
#include "formats/model.hpp"
#include "sim/fluid/fluid_executor.hpp"
#include "sim/simgrid/simgrid_executor.hpp"
#include "sim/world/recorded_outcomes.hpp"
#include "sim/world/replay_durations.hpp"
#include "study/replay.hpp"
#include "tests/formats/support.hpp"

namespace hybridgen::testing {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> traces() {
  std::vector<fs::path> folders;
  for (const auto& entry : fs::recursive_directory_iterator(source_path("traces"))) {
    if (entry.path().filename() == "manifest.json") folders.push_back(entry.path().parent_path());
  }
  return folders;
}

// Of few steps: what is tried on every one of its integers takes a replay each.
std::string small_trace() {
  return source_path("traces/smollm2-hybridgen-threshold");
}

// By the shape that ships, so that a trace needs no weights.
ModelShape shape_of(const StoredResult& recorded) {
  return find_model(source_path("configs/models/" + recorded.experiment.model + ".yaml")).shape;
}

template <class SomeExecutor>
std::string replayed_difference(const StoredResult& recorded) {
  const Timeline& timeline = recorded.timeline;
  SomeExecutor executor(recorded.platform.machine,
                        std::make_unique<ReplayDurations>(timeline, ReplayCheck::bytes),
                        std::make_unique<RecordedOutcomes>(timeline));
  return timeline_difference(timeline, replay(recorded, shape_of(recorded), executor));
}

TEST(ShippedTraces, Folder_realRunsOfBothExecutorsBelowOneMegabyte) {
  std::set<std::string> executors;
  for (const fs::path& folder : traces()) {
    std::uintmax_t bytes = 0;
    for (const auto& entry : fs::directory_iterator(folder)) bytes += entry.file_size();
    EXPECT_LT(bytes, 1'000'000u) << folder;
    const StoredResult recorded = read_result(folder.string());
    executors.insert(recorded.executor);
    EXPECT_EQ(recorded.outcome_source, "kernels") << folder;
    EXPECT_GE(recorded.timeline.steps.size(), 8u) << folder;
  }
  EXPECT_EQ(executors, (std::set<std::string>{"cuda", "host"}));
}

TEST(ShippedTraces, ReplayOnFluidAndSimgrid_equalTimelineAndHash) {
  for (const fs::path& folder : traces()) {
    SCOPED_TRACE(folder);
    const StoredResult recorded = read_result(folder.string());
    EXPECT_EQ(recorded.timeline.decision_hash, recorded.decision_hash);
    EXPECT_EQ(replayed_difference<FluidExecutor>(recorded), "");
    EXPECT_EQ(replayed_difference<SimGridExecutor>(recorded), "");
  }
}

TEST(ShippedTraces, TimeChangedByOneNanosecond_isNamed) {
  const StoredResult recorded = read_result(small_trace());
  StoredResult changed = recorded;
  changed.timeline.steps[3].ops[7].end -= 1;  // no step's last op, so the record stays in itself plausible
  FluidExecutor executor(recorded.platform.machine,
                         std::make_unique<ReplayDurations>(recorded.timeline, ReplayCheck::bytes),
                         std::make_unique<RecordedOutcomes>(recorded.timeline));
  const Timeline replayed = replay(recorded, shape_of(recorded), executor);
  EXPECT_EQ(timeline_difference(changed.timeline, replayed).find("step 3, op 7 ("), 0u)
      << timeline_difference(changed.timeline, replayed);
}

// Every integer of decisions.jsonl, one at a time.
std::vector<std::size_t> integers_in(const std::string& text) {
  std::vector<std::size_t> ends;  // one past the last digit
  for (std::size_t i = 1; i < text.size(); ++i) {
    const bool digit_before = std::isdigit(static_cast<unsigned char>(text[i - 1])) != 0;
    if (digit_before && std::isdigit(static_cast<unsigned char>(text[i])) == 0) ends.push_back(i);
  }
  return ends;
}

std::string with_integer_changed(std::string text, std::size_t end) {
  char& digit = text[end - 1];
  digit = digit == '9' ? '8' : static_cast<char>(digit + 1);
  return text;
}

// What reading, the hash, the driver or the replay has against the folder; empty: nothing.
std::string objection(const std::string& folder, bool trust_manifest) {
  try {
    const StoredResult recorded = read_result(folder);
    if (trust_manifest && recorded.timeline.decision_hash != recorded.decision_hash) return "hash";
    return replayed_difference<FluidExecutor>(recorded);
  } catch (const BadInput& error) {
    return error.what();
  } catch (const InternalError& error) {
    return error.what();
  }
}

class ChangedTrace : public ::testing::Test {
 protected:
  ChangedTrace() {
    fs::copy(small_trace(), copy_, fs::copy_options::recursive);
    text_ = slurp(copy_ + "/decisions.jsonl");
  }

  TempFolder folder_;
  const std::string copy_ = folder_ / "trace";
  std::string text_;
};

TEST_F(ChangedTrace, UnchangedCopy_noObjection) {
  EXPECT_EQ(objection(copy_, true), "");
}

TEST_F(ChangedTrace, AnyIntegerOfDecisions_isNoticedByTheHash) {
  const std::vector<std::size_t> integers = integers_in(text_);
  ASSERT_GE(integers.size(), 64u);  // eight steps of at least eight integers
  for (const std::size_t end : integers) {
    spill(copy_ + "/decisions.jsonl", with_integer_changed(text_, end));
    EXPECT_NE(objection(copy_, true), "") << "at byte " << end;
  }
}

// Somebody who repairs the manifest's hash as well meets the replay. It knows of all but two integers: in the
// prefill step nothing is scanned or selected, so scan_tokens and rows_per_head mean nothing there.
TEST_F(ChangedTrace, AnyIntegerOfDecisions_isNoticedByTheReplayAlone) {
  const std::set<std::size_t> of_prefill = {text_.find_first_of(",}", text_.find("\"rows_per_head\"")),
                                            text_.find_first_of(",}", text_.find("\"scan_tokens\""))};
  for (const std::size_t end : integers_in(text_)) {
    if (of_prefill.contains(end)) continue;
    spill(copy_ + "/decisions.jsonl", with_integer_changed(text_, end));
    EXPECT_NE(objection(copy_, false), "") << "at byte " << end << ": " << text_.substr(end - 20, 24);
  }
}

}  // namespace
}  // namespace hybridgen::testing
