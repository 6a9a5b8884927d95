// Runs of whole policies on the card, for bench-machine: decode at long contexts, whole runs that are
// recorded, tokens of a real model.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cli/bench_stages.hpp"
#include "core/machine/measurement.hpp"
#include "core/machine/model_shape.hpp"
#include "formats/platform.hpp"
#include "runtime/host/host_model.hpp"

namespace hybridgen::cuda {
struct CardWeights;
}

namespace hybridgen::cli {

// Throws BadInput for a name that no decode run has.
void check_systems(const std::vector<std::string>& systems);

class BenchRuns {
 public:
  explicit BenchRuns(BenchOptions options);

  // Every preset on made-up weights of Llama-3.1-8B's shape. One that does not fit says so in a figure.
  std::vector<Measurement> decode(Tokens context);
  // Each case's result folder under FOLDER/recorded; a folder that is there is kept.
  std::vector<Measurement> recorded();
  // Every preset, greedy, against the host executor: the model's weights, or made-up ones of SmolLM2-135M's
  // shape where no model is named. NotAvailable without the named model's weights.
  std::vector<Measurement> tokens() const;

 private:
  // The card as a platform, from the stages before; its file is FOLDER/card.yaml.
  const Platform& platform();
  std::shared_ptr<const HostModel> dummy_model();
  std::shared_ptr<const cuda::CardWeights> card_weights();  // the dummy model's

  BenchOptions options_;
  std::shared_ptr<const Platform> platform_;
  std::shared_ptr<const HostModel> dummy_;
  std::shared_ptr<const cuda::CardWeights> card_weights_;
};

}  // namespace hybridgen::cli
