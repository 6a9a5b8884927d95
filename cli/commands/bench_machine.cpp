// hybridgen bench-machine: fills the time that a card is lent for.
#include <chrono>
#include <ctime>
#include <filesystem>
#include <iostream>

#include "cli/bench_runs.hpp"
#include "cli/bench_stages.hpp"
#include "cli/card_file.hpp"
#include "cli/command.hpp"
#include "cli/experiment_options.hpp"
#include "core/base/error.hpp"
#include "formats/program_commit.hpp"
#include "runtime/cuda/bench/cuda_bench.hpp"
#include "runtime/cuda/cuda_available.hpp"
#include "study/update_ledger.hpp"

namespace hybridgen::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kUsage =
    "hybridgen bench-machine --budget-minutes N --out DIR: measure a machine with an NVIDIA GPU.\n\n"
    "Needs this program and a driver, nothing else. Stages run most valuable first, as long as the budget "
    "lasts;\n"
    "each leaves DIR/STAGE.json. Called again with the same DIR it goes on where it stopped; a stage that "
    "failed is\n"
    "tried again. DIR/stages.csv says what became of each, DIR/VERIFIED.md which kernel was right and how "
    "fast.\n\n"
    "  hybridgen bench-machine --list\n"
    "  hybridgen bench-machine --budget-minutes 30 --out results/h100\n"
    "  cp results/h100/VERIFIED.md traces/VERIFIED.md && tests/structure/check_verified.py "
    "--mark-unverified\n";

std::string today() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[11];
  std::strftime(text, sizeof text, "%Y-%m-%d", &utc);
  return text;
}

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void list_stages(const std::vector<Stage>& stages) {
  for (const Stage& stage : stages) {
    std::cout << "  " << stage.name << std::string(stage.name.size() < 14 ? 14 - stage.name.size() : 1, ' ')
              << stage.sentence << " (about " << stage.minutes << " min)\n";
  }
}

// The ledger of before: in the folder, else the project's own.
std::vector<LedgerLine> old_ledger(const std::string& folder) {
  for (const fs::path& path : {fs::path(folder) / "VERIFIED.md", fs::path("traces/VERIFIED.md")}) {
    if (fs::exists(path)) return read_kernel_ledger(path.string());
  }
  return {};
}

// What a person looks at first; 1 where a stage failed or a figure is over its bound.
int print_outcome(const std::string& folder, const std::vector<StageOutcome>& outcomes,
                  const std::vector<BenchResult>& results) {
  int failed = 0;
  int missing = 0;
  for (const StageOutcome& outcome : outcomes) {
    failed += outcome.state == StageState::failed;
    missing += outcome.state == StageState::no_time || outcome.state == StageState::unavailable;
  }
  std::size_t over = 0;
  for (const BenchResult& result : results) {
    for (const Measurement& figure : result.figures) {
      if (within_bound(figure)) continue;
      ++over;
      std::cout << "over its bound: " << figure.subject << ", " << figure.condition << ": " << figure.quantity
                << " " << figure.value << " > " << *figure.bound << "\n";
    }
  }
  std::cout << folder << ": " << outcomes.size() << " stages, " << failed << " failed, " << missing
            << " not measured, " << over << " figures over their bounds\n";
  return failed > 0 || over > 0 ? static_cast<int>(ExitCode::failed) : 0;
}

}  // namespace

int bench_machine_command(const std::vector<std::string>& arguments) {
  BenchOptions bench;
  StageRunOptions options;
  bool list = false;
  bool platform = false;
  namespace po = boost::program_options;
  po::options_description description("options");
  auto add = description.add_options();
  add("out", po::value(&bench.out), "folder of the results; made where it is not there");
  add("budget-minutes", po::value(&options.budget_minutes), "no stage is begun that would take longer");
  add("stage", po::value(&options.only)->composing(), "this stage alone, measured again; may be repeated");
  add("system", po::value(&bench.systems)->composing(),
      "of decode and recorded runs, this system alone; may be repeated");
  add("platform", po::bool_switch(&platform),
      "write DIR/card.yaml anew from DIR's results and end: needs no card");
  add("list", po::bool_switch(&list), "show the stages and end");
  add("model", po::value(&bench.model),
      "a model with weights, for the stage tokens; none: made-up weights of SmolLM2-135M's shape");
  if (!parse(arguments, kUsage, description, {})) return 0;
  options.line = bench.line = [](const std::string& text) { std::cerr << text << std::endl; };
  const std::vector<Stage> stages = bench_stages(bench);
  if (list) {
    list_stages(stages);
    return 0;
  }
  check_systems(bench.systems);
  if (bench.out.empty()) throw BadInput("--out is missing: where to write, for example results/h100");
  if (platform) {
    rewrite_card_file(bench);
    std::cout << card_file(bench) << " is written anew\n";
    return 0;
  }
  if (!(options.budget_minutes > 0))
    throw BadInput("--budget-minutes is missing or not above 0: how long the card may be used");
  if (const CudaStatus cuda = cuda_available(); !cuda.available)
    throw NotAvailable("bench-machine: " + cuda.text);

  std::error_code error;
  fs::create_directories(bench.out, error);
  if (!fs::is_directory(bench.out)) throw BadInput("--out " + bench.out + ": cannot be made a folder");
  options.folder = bench.out;
  options.head = {"", cuda::bench_card().name, program_commit(), today(), 0, cuda::kernel_sources(), {}};
  options.seconds = seconds_now;
  const std::vector<LedgerLine> before = old_ledger(bench.out);
  const std::vector<StageOutcome> outcomes = run_stages(stages, options);
  const std::vector<BenchResult> results = stored_results(stages, bench.out);
  const std::vector<LedgerLine> ledger = updated_ledger(before, cuda::kernel_sources(), results);
  write_whole((fs::path(bench.out) / "VERIFIED.md").string(), kernel_ledger_text(ledger));
  return print_outcome(bench.out, outcomes, results);
}

}  // namespace hybridgen::cli
