// Several policies on one text, teacher-forced: full attention's logits are computed once and kept, every
// policy's are held against them.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/experiment_options.hpp"
#include "cli/forced_run.hpp"
#include "cli/progress.hpp"
#include "formats/quality_summary.hpp"

namespace hybridgen::cli {

// A policy to measure, on the platform and model of the bench.
struct QualitySubject {
  std::string name;
  Composition composition;
  Params params;
  Tokens budget = 0;  // that the parameters were made for; 0: the experiment's own
};

// What commands that measure quality are asked: experiments (files) or presets (names), and a text.
struct QualityOptions {
  std::vector<std::string> subjects;
  ExperimentOptions shared;  // platform, set, json
  std::string text;
  Tokens from = 0;   // tokens that are prefilled with full attention
  Tokens limit = 0;  // of the text; 0: all

  // Adds --text, --from, --tokens, --platform, --set, --unset, --json.
  void add_to(boost::program_options::options_description& description);
  // BadInput names the option that is missing or wrong.
  void check() const;
};

// The first argument, which must be a file: it gives platform, model and KV type to all.
LoadedExperiment load_first(const QualityOptions& options);
// What all arguments name. A preset takes its defaults; a parameter without one comes from the budget.
// budget 0: the files' own settings; a policy that has no parameter for it keeps its own. context: tokens of
// the last step. BadInput where two experiments differ in model or KV type: quality is compared on one.
std::vector<QualitySubject> load_subjects(const QualityOptions& options, const LoadedExperiment& first,
                                          Tokens budget, Tokens context);
// The text as ids, checked against the model's context and the tokens prefilled.
std::vector<std::int32_t> read_quality_text(const QualityOptions& options, const ModelFiles& model);

class QualityBench {
 public:
  // The first `from` ids are prefilled with full attention. Reads the weights.
  QualityBench(const LoadedExperiment& loaded, std::vector<std::int32_t> ids, Tokens from);

  QualityRow measure(const QualitySubject& subject);

 private:
  void run_reference(Progress& progress);

  const LoadedExperiment& loaded_;
  std::vector<std::int32_t> ids_;
  Tokens from_;
  std::shared_ptr<const HostModel> model_;
  std::vector<std::vector<float>> reference_;  // logits by prediction; empty before the first measurement
};

}  // namespace hybridgen::cli
