#include "cli/finish_run.hpp"

#include <algorithm>
#include <iomanip>
#include <iostream>
#include <numeric>
#include <sstream>

#include "formats/experiment_model.hpp"
#include "formats/result_files.hpp"
#include "study/scheduler_story.hpp"

namespace hybridgen::cli {
namespace {

std::string megabytes(Bytes bytes) {
  std::ostringstream text;
  text << std::fixed << std::setprecision(3) << static_cast<double>(bytes) / 1e6 << " MB";
  return text.str();
}

// "2048 prompt tokens", "9 requests of 100 to 4000 prompt tokens, 8 in flight".
std::string size_of(const Experiment& experiment) {
  const std::vector<RequestShape> requests = experiment.workload().requests;
  if (requests.size() == 1) return std::to_string(requests.front().prompt_tokens) + " prompt tokens";
  const auto [least, most] = std::minmax_element(
      requests.begin(), requests.end(),
      [](const RequestShape& a, const RequestShape& b) { return a.prompt_tokens < b.prompt_tokens; });
  std::string prompts = std::to_string(least->prompt_tokens);
  if (least->prompt_tokens < most->prompt_tokens) prompts += " to " + std::to_string(most->prompt_tokens);
  return std::to_string(requests.size()) + " requests of " + prompts + " prompt tokens, at most " +
         std::to_string(experiment.batch) + " in flight";
}

void print_speed(const RunMetrics& metrics) {
  std::cout << std::fixed << std::setprecision(3) << "  TTFT            " << metrics.ttft_ms << " ms\n";
  if (metrics.tpot_ms.empty()) {
    std::cout << "  TPOT            none: no decode step\n";
  } else {
    std::cout << "  TPOT            " << metrics.tpot_mean_ms << " ms mean, " << metrics.tpot_p50_ms
              << " p50, " << metrics.tpot_p90_ms << " p90, " << metrics.tpot_p99_ms << " p99\n"
              << "  decode          " << metrics.decode_tokens_per_s << " tokens/s\n";
  }
  if (metrics.host.host_ns > 0) {
    std::cout << "  host hidden     " << 100 * metrics.host.hidden_share() << " % of "
              << static_cast<double>(metrics.host.host_ns) / 1e6 / static_cast<double>(metrics.tpot_ms.size())
              << " ms host work per decode step, behind the device's\n";
  }
  std::cout << "  whole run       " << metrics.tokens_per_s << " new tokens/s\n";
}

void print_summary(const LoadedExperiment& loaded, const ResultHeader& header, const Timeline& timeline,
                   const RunMetrics& metrics) {
  const Machine& machine = loaded.platform.machine;
  std::cout << loaded.experiment.composition.preset << " on " << machine.name() << " (" << header.executor
            << "), " << loaded.model.shape.name << ", " << size_of(loaded.experiment) << "\n";
  print_speed(metrics);
  for (const Channel& channel : machine.channels()) {
    const Bytes bytes = metrics.channel_bytes.empty() ? 0 : metrics.channel_bytes[channel.id.index()];
    std::cout << "  moved           " << megabytes(bytes) << " over " << channel.name << "\n";
  }
  for (const Tier& tier : machine.tiers()) {
    std::cout << "  peak            " << megabytes(timeline.tier_peak_bytes.at(tier.id.index())) << " in "
              << tier.name << (tier.emulated ? " (emulated)" : "") << "\n";
  }
  std::cout << "  decisions       " << timeline.decision_hash << "\n"
            << "  outcomes        " << header.outcome_source << "\n"
            << "  quality         " << header.quality << "\n";
  for (const std::string& note : header.notes) std::cout << "  note            " << note << "\n";
  std::istringstream story(scheduler_story(timeline));
  for (std::string line; std::getline(story, line);) std::cout << "  scheduler       " << line << "\n";
  if (!header.generated_text.empty()) std::cout << "  text            " << header.generated_text << "\n";
}

// What keeps figures of a memory from being evidence about the hardware that it is named after; empty:
// nothing.
std::string doubt(const Tier& tier, bool real) {
  const std::string unmeasured = ": no figure of it was measured on a device here";
  if (tier.emulated && real) {
    return "memory " + tier.name + " is emulated: other memory, held to its bandwidth by waiting" +
           unmeasured;
  }
  if (tier.emulated) return "memory " + tier.name + " is emulated" + unmeasured;
  if (real || (tier.kind != TierKind::cxl && tier.kind != TierKind::interleaved)) return "";
  return "memory " + tier.name + " is " + (tier.kind == TierKind::cxl ? "CXL" : "interleaved") +
         " and simulated" + unmeasured;
}

}  // namespace

std::size_t median_run(const std::vector<RunMetrics>& repeats) {
  std::vector<std::size_t> order(repeats.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return repeats[a].tpot_mean_ms < repeats[b].tpot_mean_ms; });
  return order[(order.size() - 1) / 2];
}

void finish_run(const ExperimentOptions& options, const LoadedExperiment& loaded, ResultHeader header,
                const std::vector<Timeline>& timelines) {
  for (const Timeline& timeline : timelines) header.repeats.push_back(metrics_of(timeline));
  const std::size_t kept = median_run(header.repeats);
  const Timeline& timeline = timelines[kept];
  for (const Tier& tier : loaded.platform.machine.tiers()) {
    if (timeline.tier_peak_bytes.at(tier.id.index()) == 0) continue;
    const std::string note = doubt(tier, header.outcome_source == "kernels");
    if (!note.empty()) header.notes.push_back(note);
  }
  const std::string stretched = stretch_note(loaded.model);
  if (!stretched.empty()) header.notes.push_back(stretched);
  if (!options.out.empty()) {
    write_result(options.out, options.force, loaded.experiment, loaded.platform, header, timeline);
  }
  if (options.json) {
    std::cout << summary_json({loaded.experiment, loaded.platform, header, timeline});
    return;
  }
  print_summary(loaded, header, timeline, header.repeats[kept]);
  if (!options.out.empty()) std::cout << "  result          " << options.out << "\n";
}

}  // namespace hybridgen::cli
