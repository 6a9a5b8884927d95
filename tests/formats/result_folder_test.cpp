#include "formats/result_folder.hpp"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "formats/experiment_reader.hpp"
#include "tests/formats/support.hpp"

namespace hybridgen {
namespace {

namespace fs = std::filesystem;

// A run of two steps on the h100 platform, made by hand.
struct Sample {
  Platform platform = load_platform(source_path("platform-models/h100-80.yaml"));
  Experiment experiment = load_experiment(source_path("configs/h100/hybridgen.yaml"));
  ResultHeader header;
  Timeline timeline;

  Sample() {
    header.executor = "fluid";
    header.outcome_source = "seeded";
    header.notes = {"a note"};
    Hash64 hash;
    for (int i = 0; i < 2; ++i) {
      StepEvent step;
      RequestDecision row{RequestId(0), i == 0 ? 0 : 100, i == 0 ? 100 : 1, 60, 40 + i, i, 2 * i};
      row.drop_tokens = 5 * i;  // written where there are some: the first step is as older programs wrote it
      step.decision = {StepId(i), {row}};
      step.structure = 0xfedcba9876543210ULL + static_cast<std::uint64_t>(i);
      step.start = 1'000 * i;
      step.end = step.start + 999;
      for (int op = 0; op < 3; ++op) {
        step.ops.push_back({OpId(op), static_cast<OpKind>(op), LaneId(op), op - 1,
                            op == 0 ? RequestId() : RequestId(0), step.start + op, step.start + op + 2,
                            7 * op});
      }
      step.outcomes.push_back({OutcomeKind::selected_rows, RequestId(0), 3, 9, 5});
      step.channel_bytes.assign(platform.machine.channels().size(), 100 + i);
      add_to(hash, step.decision);
      timeline.steps.push_back(step);
    }
    timeline.decision_hash = hash.hex();
    timeline.tier_peak_bytes = {1, 2, 3, 4, 5};  // by memory of h100-80
    header.repeats = {metrics_of(timeline), metrics_of(timeline)};
  }
  void write(const std::string& folder, bool force = false) const {
    write_result(folder, force, experiment, platform, header, timeline);
  }
};

std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

TEST(ResultFolder, what_was_written_reads_back) {
  TempFolder temp;
  const Sample sample;
  sample.write(temp / "a/b/run/");
  const StoredResult read = read_result(temp / "a/b/run");
  EXPECT_EQ(to_yaml(read.experiment), to_yaml(sample.experiment));
  EXPECT_EQ(read.platform.text, sample.platform.text);
  EXPECT_EQ(read.executor, "fluid");
  EXPECT_EQ(read.outcome_source, "seeded");
  EXPECT_EQ(read.decision_hash, sample.timeline.decision_hash);
  EXPECT_EQ(read.timeline.decision_hash, sample.timeline.decision_hash);
  EXPECT_EQ(read.timeline.tier_peak_bytes, sample.timeline.tier_peak_bytes);
  ASSERT_EQ(read.timeline.steps.size(), 2U);
  for (std::size_t i = 0; i < 2; ++i) {
    const StepEvent& a = read.timeline.steps[i];
    const StepEvent& b = sample.timeline.steps[i];
    EXPECT_EQ(a.decision, b.decision);
    EXPECT_EQ(a.structure, b.structure);
    EXPECT_EQ(a.end, b.end);
    EXPECT_EQ(a.channel_bytes, b.channel_bytes);
    ASSERT_EQ(a.ops.size(), b.ops.size());
    EXPECT_EQ(a.ops[2].lane, b.ops[2].lane);
    EXPECT_EQ(a.ops[0].layer, -1);
    EXPECT_FALSE(a.ops[0].request.valid());
    EXPECT_EQ(a.ops[2].bytes, b.ops[2].bytes);
    EXPECT_EQ(a.outcomes[0].count, 5);
  }
  ASSERT_EQ(read.repeats.size(), 2U);
  EXPECT_EQ(read.repeats[1].tpot_ms, sample.header.repeats[1].tpot_ms);
  EXPECT_EQ(read.repeats[1].tpot_p99_ms, sample.header.repeats[1].tpot_p99_ms);
  EXPECT_EQ(read.repeats[1].channel_bytes, sample.header.repeats[1].channel_bytes);
}

TEST(ResultFolder, equal_runs_equal_bytes_but_for_created) {
  TempFolder temp;
  Sample().write(temp / "one");
  Sample().write(temp / "two");
  ASSERT_EQ(names_in(temp / "one"), names_in(temp / "two"));
  EXPECT_EQ(names_in(temp / "one"),
            (std::vector<std::string>{"decisions.jsonl", "experiment.yaml", "manifest.json", "ops.csv",
                                      "outcomes.csv", "platform.yaml", "requests.csv", "steps.csv",
                                      "summary.json", "trace.json"}));
  for (const std::string& name : names_in(temp / "one")) {
    std::string one = slurp(temp / ("one/" + name)), two = slurp(temp / ("two/" + name));
    if (name == "manifest.json") {
      auto a = nlohmann::json::parse(one), b = nlohmann::json::parse(two);
      EXPECT_EQ(a.erase("created") + b.erase("created"), 2U);
      one = a.dump();
      two = b.dump();
    }
    EXPECT_EQ(one, two) << name;
  }
}

TEST(ResultFolder, json_holds_what_readers_rely_on) {
  TempFolder temp;
  Sample sample;
  sample.header.generated_text = "cut in a character: \xc3";
  sample.header.generated_ids_sha256 = "00ff";
  sample.write(temp / "run");
  const auto summary = nlohmann::json::parse(slurp(temp / "run/summary.json"));
  EXPECT_EQ(summary.at("policy"), "hybridgen");
  EXPECT_EQ(summary.at("platform"), "h100-80");
  EXPECT_EQ(summary.at("quality"), "unknown");
  EXPECT_EQ(summary.at("bytes_moved").at("pcie_h2d"), 201);
  EXPECT_EQ(summary.at("tier_peak_bytes").at("cxl"), 3);
  EXPECT_EQ(summary.at("repeats").size(), 2U);
  EXPECT_EQ(summary.at("generated_ids_sha256"), "00ff");
  EXPECT_EQ(summary.at("tpot_ms").at("mean"), summary.at("repeats").at(0));
  const auto manifest = nlohmann::json::parse(slurp(temp / "run/manifest.json"));
  EXPECT_EQ(manifest.at("seed"), 1);
  EXPECT_EQ(manifest.at("emulated_tiers").size(), 0U);
  EXPECT_EQ(manifest.at("decision_hash"), sample.timeline.decision_hash);
  const auto trace = nlohmann::json::parse(slurp(temp / "run/trace.json"));
  int ops = 0, counters = 0;
  for (const auto& event : trace.at("traceEvents")) {
    ops += event.at("ph") == "X" ? 1 : 0;
    counters += event.at("ph") == "C" ? 1 : 0;
  }
  EXPECT_EQ(ops, 6);
  // channels x (steps + the end)
  EXPECT_EQ(counters, static_cast<int>(sample.platform.machine.channels().size()) * 3);
  EXPECT_TRUE(slurp(temp / "run/ops.csv")
                  .starts_with("step,op,kind,lane,layer,request,start_ns,end_ns,bytes\n"
                               "0,0,embed,gpu,-1,-1,0,2,0\n"
                               "0,1,norm_qkv,h2d,0,0,1,3,7\n"));
}

TEST(ResultFolder, requests_are_told_one_by_one) {
  TempFolder temp;
  Sample().write(temp / "run");
  EXPECT_EQ(slurp(temp / "run/requests.csv"),
            "request,prompt_tokens,new_tokens,generated_tokens,slot,ttft_ms,tpot_mean_ms,end\n"
            "0,32768,64,2,0,0.000999,0.001000,unfinished\n");
}

TEST(ResultFolder, without_a_decode_step_tpot_is_null_and_reads_back) {
  TempFolder temp;
  Sample sample;
  sample.timeline.steps.pop_back();
  sample.header.repeats = {metrics_of(sample.timeline)};
  sample.write(temp / "run");
  const auto summary = nlohmann::json::parse(slurp(temp / "run/summary.json"));
  for (const char* figure : {"mean", "p50", "p90", "p99"})
    EXPECT_TRUE(summary.at("tpot_ms").at(figure).is_null());
  EXPECT_TRUE(summary.at("decode_tokens_per_s").is_null());
  EXPECT_TRUE(summary.at("repeats").at(0).is_null());
  EXPECT_GT(summary.at("ttft_ms"), 0);
  EXPECT_GT(summary.at("tokens_per_s"), 0);
  EXPECT_TRUE(read_result(temp / "run").repeats.at(0).tpot_ms.empty());
}

TEST(ResultFolder, existing_folder_needs_force) {
  TempFolder temp;
  const Sample sample;
  sample.write(temp / "run");
  EXPECT_EQ(complaint([&] { check_out_folder(temp / "run", false); }),
            "output folder " + (temp / "run") + ": exists; choose another --out, or replace it with --force");
  EXPECT_NE(complaint([&] { sample.write(temp / "run"); }), "");
  spill(temp / "run/leftover", "of the old result");
  sample.write(temp / "run", true);
  EXPECT_FALSE(fs::exists(temp / "run/leftover"));
  EXPECT_EQ(names_in(temp / "").size(), 1U);  // no partial, no old folder
}

TEST(ResultFolder, force_never_deletes_what_is_no_result) {
  TempFolder temp;
  fs::create_directories(temp / "photos");
  spill(temp / "photos/one.jpg", "dear");
  spill(temp / "file", "dear");
  Sample().write(temp / "run");
  fs::create_directory_symlink(temp / "run", temp / "link");
  for (const char* name : {"photos", "file", "link", "photos/.."}) {
    EXPECT_NE(
        complaint([&] { Sample().write(temp / name, true); }).find("not replaced; choose another --out"),
        std::string::npos)
        << name;
  }
  EXPECT_EQ(slurp(temp / "photos/one.jpg"), "dear");
  EXPECT_EQ(slurp(temp / "file"), "dear");
  EXPECT_NE(complaint([&] { check_out_folder("", true); }), "");
  EXPECT_NE(complaint([&] { check_out_folder(temp / "file/run", false); }).find("cannot write in"),
            std::string::npos);
}

TEST(ResultFolder, killed_half_way_leaves_no_result_and_blocks_nothing) {
  TempFolder temp;
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    // The first file that cannot take more bytes kills the writer in the middle of the folder.
    const rlimit limit{2'000, 2'000};
    setrlimit(RLIMIT_FSIZE, &limit);
    try {
      Sample().write(temp / "run");
    } catch (...) {
    }
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_FALSE(fs::exists(temp / "run"));
  EXPECT_EQ(names_in(temp / "").size(), 1U);  // the stale partial folder
  Sample().write(temp / "run");
  EXPECT_EQ(read_result(temp / "run").timeline.steps.size(), 2U);
}

TEST(ResultFolder, failed_writing_leaves_the_old_result_whole) {
  TempFolder temp;
  Sample().write(temp / "run");
  const std::string before = slurp(temp / "run/ops.csv");
  Sample broken;
  broken.timeline.steps[0].ops[0].lane = LaneId(77);  // our bug, met in the middle of writing
  EXPECT_ANY_THROW(broken.write(temp / "run", true));
  EXPECT_EQ(slurp(temp / "run/ops.csv"), before);
  EXPECT_EQ(names_in(temp / "").size(), 1U);
}

TEST(ResultFolder, damage_is_named_with_file_and_line) {
  TempFolder temp;
  const Sample sample;
  const auto damaged = [&](const std::string& file, const std::string& from, const std::string& to) {
    sample.write(temp / "run", fs::exists(temp / "run"));
    spill(temp / ("run/" + file), edited(slurp(temp / ("run/" + file)), from, to));
    const std::string message = complaint([&] { read_result(temp / "run"); });
    return message.substr(0, message.find(';')).substr(std::min(message.size(), (temp / "run/").size()));
  };
  EXPECT_EQ(damaged("ops.csv", "start_ns", "start_us"),
            "ops.csv:1: columns are 'step,op,kind,lane,layer,request,start_us,end_ns,bytes'");
  EXPECT_EQ(damaged("ops.csv", "embed", "embd"), "ops.csv:2: 'embd' is no kind of op");
  EXPECT_EQ(damaged("ops.csv", "\n0,1,", "\n0,2,"), "ops.csv:3: ops are out of order");
  EXPECT_EQ(damaged("ops.csv", ",gpu,", ",gpx,"), "ops.csv:2: 'gpx' is no lane of platform.yaml");
  EXPECT_EQ(damaged("steps.csv", "\n1,decode", "\n2,decode"),
            "steps.csv:3: step 2 is not among the decisions");
  EXPECT_EQ(damaged("outcomes.csv", ",9,5\n", ",9\n"), "outcomes.csv:2: 5 fields");
  EXPECT_EQ(damaged("outcomes.csv", ",9,5\n", ",9,5x\n"), "outcomes.csv:2: '5x' is no integer");
  EXPECT_EQ(damaged("manifest.json", "\"result_format\": 2", "\"result_format\": 99"),
            "manifest.json: result format 99");
  EXPECT_TRUE(
      damaged("decisions.jsonl", "\"step\":1", "\"step\":3").starts_with("decisions.jsonl:2: step 3"));
  EXPECT_EQ(damaged("decisions.jsonl", "\"request\":0", "\"request\":7"),
            "decisions.jsonl:1: request 7 is not of experiment.yaml's requests");
  EXPECT_TRUE(damaged("decisions.jsonl", "\"rows\"", "\"raws\"").starts_with("decisions.jsonl:1: "));
  EXPECT_TRUE(damaged("summary.json", "tier_peak_bytes", "tier_pek_bytes").starts_with("summary.json: "));
  EXPECT_TRUE(damaged("platform.yaml", "kind: gpu", "kind: gpx").starts_with("platform.yaml:"));
}

TEST(ResultFolder, changed_decision_changes_the_recomputed_hash) {
  TempFolder temp;
  Sample().write(temp / "run");
  const std::string file = temp / "run/decisions.jsonl";
  spill(file, edited(slurp(file), "\"rows_per_head\":2", "\"rows_per_head\":3"));
  const StoredResult read = read_result(temp / "run");
  EXPECT_NE(read.timeline.decision_hash, read.decision_hash);
}

}  // namespace
}  // namespace hybridgen
