#include "cli/card_file.hpp"

#include <cmath>
#include <filesystem>

#include "core/base/error.hpp"
#include "formats/model.hpp"
#include "formats/platform_reader.hpp"
#include "formats/platform_writer.hpp"
#include "formats/yaml_tree.hpp"
#include "study/bench_cases.hpp"
#include "study/decode_costs.hpp"

// Written by the build: the shape's file, so that the program needs none.
#include "bench_shapes.hpp"

namespace hybridgen::cli {
namespace {

namespace fs = std::filesystem;

constexpr double kGiB = 1024.0 * 1024.0 * 1024.0;

// Of the decode runs whose select ops are timed.
DecodeScan decode_scan() {
  const Params params = bench_params(find_preset("hybridgen")->composition);
  return {read_model_yaml(kLlama8bYaml, "llama-3.1-8b.yaml").query_heads, params.get("device_kv_tokens")};
}

CardFacts facts_of(const PlatformDescription& card, const std::string& name) {
  CardFacts facts;
  facts.card = name;
  for (const PlatformDescription::Memory& memory : card.memories) {
    const auto bytes = static_cast<Bytes>(std::llround(memory.capacity_GiB * kGiB));
    (memory.kind == TierKind::hbm ? facts.card_memory : facts.host_memory) = bytes;
  }
  for (const PlatformDescription::Lane& lane : card.lanes) {
    if (lane.processor == "cpu") facts.host_threads = lane.threads.value_or(1);
  }
  return facts;
}

}  // namespace

std::string card_file(const BenchOptions& options) {
  return (fs::path(options.out) / "card.yaml").string();
}

void write_card_file(const BenchOptions& options, const CardFacts& facts) {
  const std::vector<BenchResult> results = stored_results(bench_stages(options), options.out);
  const PlatformDescription card = with_decode_costs(card_platform(facts, results), results, decode_scan());
  write_whole(card_file(options),
              platform_yaml(card, "Written by `hybridgen bench-machine` from its results."));
}

void rewrite_card_file(const BenchOptions& options) {
  const std::string path = card_file(options);
  const std::vector<BenchResult> results = stored_results(bench_stages(options), options.out);
  if (results.empty() || !fs::exists(path))
    throw BadInput(path +
                   ": there must be one, beside the results of bench-machine's stages, to write it anew");
  write_card_file(options,
                  facts_of(read_platform_description(read_text_file(path), path), results.front().card));
}

}  // namespace hybridgen::cli
