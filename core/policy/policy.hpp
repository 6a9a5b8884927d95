// A policy: a composition of parts that decides at step boundaries and builds steps from decisions.
#pragma once

#include <initializer_list>
#include <memory>
#include <string>

#include "core/policy/registry.hpp"
#include "core/step/step_builder.hpp"

namespace hybridgen {

class Policy {
 public:
  // machine and model of the context must outlive the policy. Parameters are checked against params_of()
  // already.
  Policy(const Composition& composition, PartContext context, const WorkloadShape& workload);

  const Composition& composition() const { return composition_; }
  const MemoryPlan& memory_plan() const { return plan_; }
  LookaheadMode lookahead(int layer) const { return attention_->lookahead(layer); }
  // For people, beside a result: what a reader of the experiment alone would not know.
  std::vector<std::string> notes() const { return attention_->notes(); }

  // Requests are prefilled one per step, in order, as the admission part lets them and a slot is free; else
  // all that are in flight decode together. An empty decision says that nothing is left.
  Decision decide(const Observation& observation);
  // Pure: equal decisions give equal steps.
  Step build(const Decision& decision) const;

 private:
  void plan_slots();
  void plan_reservations();
  void plan_partial_keys();
  void plan_exchange();
  void plan_host_rows();
  void reserve(TierId tier, Purpose purpose, std::initializer_list<Bytes> factors);
  std::int64_t of_all_slots(std::int64_t SlotPlan::*size) const;
  const RequestView* next_admitted(const Observation& observation, SlotId& slot) const;

  const Machine& machine_;
  const ModelShape& model_;
  Composition composition_;
  WorkloadShape workload_;
  std::vector<RequestShape> slots_;  // sizes of the requests that they take, by slot id
  std::unique_ptr<AttentionPart> attention_;
  std::unique_ptr<AdmissionPart> admission_;
  MemoryPlan plan_;
};

}  // namespace hybridgen
