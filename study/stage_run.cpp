#include "study/stage_run.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "core/base/error.hpp"
#include "formats/yaml_reader.hpp"

namespace hybridgen {
namespace {

namespace fs = std::filesystem;

constexpr double kSecondsPerMinute = 60;

// A message in a cell of its own: commas, quotes and line ends would make more of it.
std::string cell(std::string text) {
  for (char& c : text) {
    if (c == ',' || c == '"' || c == '\n' || c == '\r') c = ' ';
  }
  return text;
}

std::string stages_csv(const std::vector<StageOutcome>& outcomes) {
  std::ostringstream text;
  text << "stage,state,duration_s,message\n";
  for (const StageOutcome& outcome : outcomes) {
    text << outcome.stage << ',' << name_of(outcome.state) << ',' << outcome.seconds << ','
         << cell(outcome.message) << '\n';
  }
  return text.str();
}

std::string told(const StageOutcome& outcome) {
  std::ostringstream text;
  text << name_of(outcome.state);
  if (outcome.state == StageState::done) {
    text.precision(3);
    text << " in " << outcome.seconds << " s";
  }
  if (!outcome.message.empty()) text << ": " << outcome.message;
  return text.str();
}

class StageRun {
 public:
  explicit StageRun(const StageRunOptions& options) : options_(options), begin_(options.seconds()) {}

  StageOutcome carry_out(const Stage& stage) const {
    StageOutcome outcome;
    outcome.stage = stage.name;
    const std::string path = (fs::path(options_.folder) / (stage.name + ".json")).string();
    if (options_.only.empty() && fs::exists(path)) {
      outcome.state = StageState::kept;
      return outcome;
    }
    const double left = options_.budget_minutes - (options_.seconds() - begin_) / kSecondsPerMinute;
    if (left < stage.minutes) {
      std::ostringstream text;
      text.precision(3);
      text << "needs about " << stage.minutes << " minutes and " << std::max(left, 0.0) << " are left";
      outcome.state = StageState::no_time;
      outcome.message = text.str();
      return outcome;
    }
    measure(stage, path, outcome);
    return outcome;
  }

 private:
  void measure(const Stage& stage, const std::string& path, StageOutcome& outcome) const {
    const double begin = options_.seconds();
    try {
      BenchResult result = options_.head;
      result.stage = stage.name;
      result.figures = stage.measure();
      result.seconds = options_.seconds() - begin;
      write_whole(path, to_json(result));
    } catch (const NotAvailable& error) {
      outcome.state = StageState::unavailable;
      outcome.message = error.what();
    } catch (const std::exception& error) {
      outcome.state = StageState::failed;
      outcome.message = error.what();
    }
    outcome.seconds = options_.seconds() - begin;
  }

  const StageRunOptions& options_;
  double begin_;
};

}  // namespace

const char* name_of(StageState state) {
  constexpr const char* kNames[] = {"done", "kept", "failed", "unavailable", "no time"};
  return kNames[static_cast<std::size_t>(state)];
}

void write_whole(const std::string& path, const std::string& text) {
  const std::string aside = path + ".partial";
  std::ofstream file(aside, std::ios::binary);
  file << text;
  file.close();
  std::error_code error;
  if (file) fs::rename(aside, path, error);
  if (!file || error) throw UserError(ExitCode::failed, path + ": cannot be written");
}

std::vector<StageOutcome> run_stages(const std::vector<Stage>& stages, const StageRunOptions& options) {
  std::vector<std::string> names;
  for (const Stage& stage : stages) names.push_back(stage.name);
  for (const std::string& stage : options.only) {
    if (std::find(names.begin(), names.end(), stage) == names.end())
      throw BadInput("--stage " + stage + ": unknown; " + name_remedy(stage, names));
  }
  const StageRun run(options);
  std::vector<StageOutcome> outcomes;
  for (std::size_t i = 0; i < stages.size(); ++i) {
    const Stage& stage = stages[i];
    const auto& only = options.only;
    if (!only.empty() && std::find(only.begin(), only.end(), stage.name) == only.end()) continue;
    const std::string head =
        "[" + std::to_string(i + 1) + "/" + std::to_string(stages.size()) + "] " + stage.name + ": ";
    options.line(head + stage.sentence);
    outcomes.push_back(run.carry_out(stage));
    options.line(head + told(outcomes.back()));
    write_whole((fs::path(options.folder) / "stages.csv").string(), stages_csv(outcomes));
  }
  return outcomes;
}

}  // namespace hybridgen
