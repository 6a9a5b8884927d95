// What bytes cost, as tables.
#include <sstream>

#include "study/byte_costs.hpp"
#include "study/text_table.hpp"

namespace hybridgen {
namespace {

constexpr Bytes kSmall = 4 << 10;
constexpr Bytes kLarge = 1 << 20;

std::string marked(const ByteCostReport& report, const std::string& name) {
  for (const auto& memory : report.memories) {
    if (memory.name == name && memory.emulated) return name + " (emulated)";
  }
  return name;
}

std::string table_of(const ByteCostReport& report, const std::vector<ByteCost>& costs, const TextRow& head) {
  std::vector<TextRow> rows = {head};
  for (const ByteCost& cost : costs) {
    TextRow row = {marked(report, cost.from) + " - " + marked(report, cost.to)};
    if (cost.reachable) {
      row.insert(row.end(), {number(cost.bytes_per_s / 1e9, 1),
                             cost.limited_by + (cost.note.empty() ? "" : " (" + cost.note + ")"),
                             number(cost.fixed_ns / 1e3, 1), number(cost.ns(kSmall) / 1e3, 1),
                             number(cost.ns(kLarge) / 1e3, 1)});
    } else {
      row.insert(row.end(), {"-", "no path", "-", "-", "-"});
    }
    rows.push_back(row);
  }
  return text_table(rows);
}

}  // namespace

std::string to_text(const ByteCostReport& report) {
  std::ostringstream text;
  std::vector<TextRow> memories = {{"memory", "kind", "capacity GiB"}};
  for (const auto& memory : report.memories) {
    memories.push_back({marked(report, memory.name), memory.kind,
                        number(static_cast<double>(memory.capacity) / (1 << 30), 1)});
  }
  text << report.platform << "\n\n"
       << text_table(memories) << "\nRead or written in place, by the fastest kernel of the processor:\n"
       << table_of(report, report.in_place,
                   {"processor - memory", "GB/s", "limited by", "fixed us", "4 KiB us", "1 MiB us"})
       << "\nCopied from memory to memory:\n"
       << table_of(report, report.copies,
                   {"from - to", "GB/s", "limited by", "fixed us", "4 KiB us", "1 MiB us"})
       << "\nGB/s is what one user gets alone; the named channel is what others would share. Sources: the "
          "platform file.\n";
  return text.str();
}

}  // namespace hybridgen
