// What this machine's memories and kernels do, figure by figure: bandwidth by node, direction and threads,
// cores against nodes, latency, copies by size, kernels by shape. For people and for comparing machines; what
// a simulation uses is fitted from ops (calibrate.cpp).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/machine/measurement.hpp"
#include "runtime/calibrate/crew.hpp"
#include "runtime/calibrate/topology.hpp"
#include "runtime/host/tier_memory.hpp"

namespace hybridgen {

// One figure, and how a sample of it is taken.
struct SurveyProbe {
  Measurement figure;              // subject, condition, quantity and unit; the rest is filled in at the end
  std::function<double()> sample;  // in the figure's unit; with a minus sign where it was disturbed
  std::vector<double> rounds;      // one value per round
};

class Survey {
 public:
  explicit Survey(const Topology& topology);
  ~Survey();

  // Every probe once: the median of a few samples each. Between them, again and again, a plain read by all
  // cores of the first node: how steady the memory is, whatever is measured.
  void round();
  // By round: the control read, in bytes per second; the round's slowest, since what disturbs a read disturbs
  // others. Negative where a core was taken away each time.
  const std::vector<double>& control() const { return control_; }
  // Medians and spreads over the rounds that `use` says, by round.
  std::vector<Measurement> figures(const std::vector<bool>& use) const;

 private:
  struct Node;  // the memory that is worked on, of one NUMA node

  void add(const std::string& subject, const std::string& condition, const std::string& quantity,
           const std::string& unit, std::function<double()> sample);
  void add_memory_probes();
  void add_bandwidth(Node& node, const std::vector<int>& cores, const std::string& whose);
  void add_latency(Node& node, int core);
  void add_copies(Node& node, int core);
  void add_kernel_probes(Node& node, int core);
  double read_rate(Node& node, const std::vector<int>& cores);
  // Rate of work(data) over fresh memory of the node, on one core.
  double rate_of(Node& node, int core, Bytes bytes, int calls, double per_call,
                 const std::function<void(const std::byte*)>& work);

  Topology topology_;
  Crew crew_;
  std::vector<std::unique_ptr<Node>> nodes_;
  std::vector<SurveyProbe> probes_;
  std::vector<double> control_;
};

}  // namespace hybridgen
