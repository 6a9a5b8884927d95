// hybridgen accuracy: what policies cost in answers. Full attention once, then each policy, teacher-forced on
// the same text; their logits are compared token by token.
#include <iostream>

#include "cli/command.hpp"
#include "cli/quality_bench.hpp"
#include "core/base/error.hpp"
#include "study/quality_table.hpp"

namespace hybridgen::cli {
namespace {

constexpr const char* kUsage =
    "hybridgen accuracy EXPERIMENT.yaml [EXPERIMENT.yaml | PRESET]... --text FILE --from N: quality of the "
    "real model\n"
    "under each policy.\n\n"
    "The first N tokens of the text are prefilled with full attention; every later token is fed with the "
    "policy in\n"
    "force at every layer, and the prediction after it is held against the text and against full attention,\n"
    "which is computed once for all policies. Model, platform and KV type are the first experiment's.\n"
    "Perplexity ratios below 1.003 and small differences of mean KL are noise; the standard errors say how "
    "small.\n\n"
    "  hybridgen accuracy configs/demo/hybridgen.yaml --text /usr/share/common-licenses/GPL-3 --from 4096\n"
    "  hybridgen accuracy configs/demo/full-gpu.yaml quest hybridgen --budget 1024 --text FILE --from 4096\n";

}  // namespace

int accuracy_command(const std::vector<std::string>& arguments) {
  QualityOptions options;
  Tokens budget = 0;
  boost::program_options::options_description description("options");
  options.add_to(description);
  description.add_options()(
      "budget", boost::program_options::value(&budget),
      "rows per query head that a step may read, in each policy's own parameter; 0: as the files say");
  if (!parse(arguments, kUsage, description, "EXPERIMENT.yaml", options.subjects)) return 0;
  options.check();
  if (budget < 0) throw BadInput("--budget must not be negative: 0 leaves the experiments as they are");
  const LoadedExperiment first = load_first(options);
  const std::vector<std::int32_t> ids = read_quality_text(options, first.model);
  const auto subjects = load_subjects(options, first, budget, static_cast<Tokens>(ids.size()) - 1);
  QualityBench bench(first, ids, options.from);
  std::vector<QualityRow> rows;
  for (const QualitySubject& subject : subjects) rows.push_back(bench.measure(subject));
  if (rows.size() == 1) {
    std::cout << (options.shared.json ? to_json(rows[0]) : to_text(rows[0].quality));
  } else {
    std::cout << (options.shared.json ? to_json(rows) : quality_table(rows));
  }
  return 0;
}

}  // namespace hybridgen::cli
