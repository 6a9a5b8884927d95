// The files of a result folder, one function each; write_result calls them all. Column names carry units:
// _ns, _bytes, _tokens; what has none is an id, a name, a count or a hash. -1 as layer or request: not of
// one.
#pragma once

#include <string>
#include <vector>

#include "core/machine/machine.hpp"
#include "formats/result_folder.hpp"

namespace hybridgen {

struct ResultContent {
  const Experiment& experiment;
  const Platform& platform;
  const ResultHeader& header;
  const Timeline& timeline;
};

inline constexpr int kResultFormat = 2;  // grows when a reader would misread a newer folder

// The whole text of one file each, ready to be written.
std::string manifest_json(const ResultContent& content, const std::string& created);
std::string summary_json(const ResultContent& content);
std::string decisions_jsonl(const Timeline& timeline);
std::string steps_csv(const Machine& machine, const Timeline& timeline);
std::string ops_csv(const Machine& machine, const Timeline& timeline);
std::string outcomes_csv(const Timeline& timeline);
std::string requests_csv(const WorkloadShape& workload, const Timeline& timeline);
std::string trace_json(const Machine& machine, const Timeline& timeline);

// Header lines; the reader holds files against them.
std::string steps_columns(const Machine& machine);
inline constexpr const char* kOpsColumns = "step,op,kind,lane,layer,request,start_ns,end_ns,bytes";
inline constexpr const char* kOutcomesColumns = "step,kind,request,layer,bound_count,count";

}  // namespace hybridgen
