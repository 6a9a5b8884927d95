// hybridgen quality-curve: quality against bytes read, over budgets.
#include <algorithm>
#include <iostream>

#include "cli/command.hpp"
#include "cli/quality_bench.hpp"
#include "core/base/error.hpp"
#include "study/quality_table.hpp"

namespace hybridgen::cli {
namespace {

constexpr const char* kUsage =
    "hybridgen quality-curve EXPERIMENT.yaml [EXPERIMENT.yaml | PRESET]... --text FILE --from N --budgets "
    "B...: "
    "what\n"
    "quality costs in bytes, per policy and budget.\n\n"
    "A budget is rows per query head that a decode step may read: policy.budget_tokens where a policy has "
    "it; "
    "half on\n"
    "the device and half by policy.topk_ratio for HybridGen. A policy that has no such parameter is measured "
    "once.\n"
    "Measured as by hybridgen accuracy; MB/token is what attention moved, as counted, without weights.\n\n"
    "  hybridgen quality-curve configs/demo/full-gpu.yaml quest hybridgen --text FILE --from 4096 --budgets "
    "256 "
    "1024\n";

}  // namespace

int quality_curve_command(const std::vector<std::string>& arguments) {
  QualityOptions options;
  std::vector<Tokens> budgets;
  boost::program_options::options_description description("options");
  options.add_to(description);
  description.add_options()("budgets", boost::program_options::value(&budgets)->multitoken(),
                            "rows per query head, one or more");
  if (!parse(arguments, kUsage, description, "EXPERIMENT.yaml", options.subjects)) return 0;
  options.check();
  if (budgets.empty()) throw BadInput("--budgets is missing: rows per query head, for example 256 1024");
  if (*std::min_element(budgets.begin(), budgets.end()) < 1) throw BadInput("--budgets must be at least 1");
  const LoadedExperiment first = load_first(options);
  const std::vector<std::int32_t> ids = read_quality_text(options, first.model);
  std::vector<QualitySubject> subjects;
  for (const Tokens budget : budgets) {
    for (QualitySubject& each : load_subjects(options, first, budget, static_cast<Tokens>(ids.size()) - 1)) {
      if (each.budget > 0 || budget == budgets.front()) subjects.push_back(std::move(each));
    }
  }
  QualityBench bench(first, ids, options.from);
  std::vector<QualityRow> rows;
  for (const QualitySubject& subject : subjects) rows.push_back(bench.measure(subject));
  std::stable_sort(rows.begin(), rows.end(),
                   [](const QualityRow& a, const QualityRow& b) { return a.name < b.name; });
  std::cout << (options.shared.json ? to_json(rows) : quality_table(rows));
  return 0;
}

}  // namespace hybridgen::cli
