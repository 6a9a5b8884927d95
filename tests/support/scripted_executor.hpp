// An executor that does nothing: every op takes `op_ns`, one after the other; outcomes come from a function
// of the test. It keeps the steps it was given.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "core/executor/executor.hpp"
#include "core/machine/machine.hpp"

namespace hybridgen::test {

inline Bytes bytes_moved(const Op& op, const std::vector<std::int64_t>& counts) {
  Bytes sum = 0;
  for (const Access& access : op.traffic.accesses) sum += access.bytes.resolve(counts);
  for (const Copy& copy : op.traffic.copies) sum += copy.bytes.resolve(counts);
  return sum;
}

// Bytes that pass each channel, by channel id.
inline std::vector<Bytes> channel_bytes(const Step& step, const Machine& machine,
                                        const std::vector<std::int64_t>& counts = {}) {
  std::vector<Bytes> bytes(machine.channels().size());
  for (const Op& op : step.ops) {
    const ProcessorId processor = machine.lane(op.lane).processor;
    for (const Access& access : op.traffic.accesses) {
      for (const ChannelId id : machine.access_path(processor, access.tier))
        bytes[id.index()] += access.bytes.resolve(counts);
    }
    for (const Copy& copy : op.traffic.copies) {
      for (const ChannelId id : machine.copy_path(copy.from, copy.to))
        bytes[id.index()] += copy.bytes.resolve(counts);
    }
  }
  return bytes;
}

class ScriptedExecutor final : public Executor {
 public:
  using Outcomes = std::function<std::int64_t(const Step&, const Outcome&)>;
  using Spoil = std::function<void(Report&)>;

  explicit ScriptedExecutor(const Machine& machine, Outcomes outcomes = {}) : machine_(machine) {
    capabilities_.executor = "scripted";
    capabilities_.kinds.fill(true);
    outcomes_ =
        outcomes ? std::move(outcomes) : [](const Step&, const Outcome& outcome) { return outcome.least; };
  }

  const Capabilities& capabilities() const override { return capabilities_; }
  void submit(std::shared_ptr<const Step> step) override { steps_.push_back(std::move(step)); }

  Report wait() override {
    const Step& step = *steps_.at(reported_++);
    Report report;
    report.step = step.id;
    report.start = now_;
    for (const Outcome& outcome : step.outcomes) report.outcomes.push_back(outcomes_(step, outcome));
    for (const Op& op : step.ops) {
      report.records.push_back({op.id, now_, now_ + op_ns, bytes_moved(op, report.outcomes)});
      now_ += op_ns;
    }
    report.end = now_;
    report.channel_bytes = channel_bytes(step, machine_, report.outcomes);
    if (spoil) spoil(report);
    return report;
  }

  const std::vector<std::shared_ptr<const Step>>& steps() const { return steps_; }

  TimeNs op_ns = 10;
  Spoil spoil;  // makes a report wrong

 private:
  const Machine& machine_;
  Capabilities capabilities_;
  Outcomes outcomes_;
  std::vector<std::shared_ptr<const Step>> steps_;
  std::size_t reported_ = 0;
  TimeNs now_ = 0;
};

}  // namespace hybridgen::test
