// What fits, as a table.
#include <array>
#include <sstream>

#include "study/fit_report.hpp"
#include "study/text_table.hpp"

namespace hybridgen {
namespace {

struct Column {
  const char* name;
  std::array<Purpose, 3> purposes;
};
const std::array<Column, 6> kColumns = {{
    {"weights", {Purpose::weights, Purpose::predictor, Purpose::predictor}},
    {"KV", {Purpose::device_kv, Purpose::host_k, Purpose::host_v}},
    {"staging", {Purpose::staging, Purpose::staging, Purpose::staging}},
    {"exchange", {Purpose::exchange, Purpose::exchange, Purpose::exchange}},
    {"activations", {Purpose::activations, Purpose::activations, Purpose::activations}},
    {"workspace", {Purpose::workspace, Purpose::workspace, Purpose::workspace}},
}};

// In the largest unit that leaves a whole number, in three digits or more.
std::string human(Bytes bytes) {
  constexpr std::array<const char*, 4> kUnits = {"B", "KiB", "MiB", "GiB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; value >= 1024 && unit + 1 < kUnits.size(); ++unit) value /= 1024;
  return number(value, unit == 0 ? 0 : value < 10 ? 2 : 1) + " " + kUnits[unit];
}

Bytes part_of(const TierNeed& tier, const Column& column) {
  Bytes sum = 0;
  for (const Reservation& r : tier.parts) {
    for (const Purpose purpose : column.purposes) {
      if (r.purpose != purpose) continue;
      sum += r.bytes;
      break;
    }
  }
  return sum;
}

}  // namespace

std::string to_text(const FitReport& report) {
  std::ostringstream text;
  text << (report.fits() ? "fits on " : "does not fit on ") << report.platform << ":\n";
  TextRow head = {"memory", "capacity", "needed"};
  for (const Column& column : kColumns) head.push_back(column.name);
  std::vector<TextRow> rows = {head};
  for (const TierNeed& tier : report.tiers) {
    TextRow row = {tier.name + (tier.emulated ? " (emulated)" : ""), human(tier.capacity),
                   human(tier.needed)};
    for (const Column& column : kColumns) {
      const Bytes bytes = part_of(tier, column);
      row.push_back(bytes == 0 ? "-" : human(bytes));
    }
    rows.push_back(row);
  }
  text << text_table(rows);
  for (const TierNeed& tier : report.tiers) {
    if (tier.needed > tier.capacity)
      text << tier.name << " is short by " << human(tier.needed - tier.capacity) << "\n";
  }
  if (report.fits()) return text.str();
  for (const std::string& change : report.what_would_fit) text << "would fit: " << change << "\n";
  if (report.what_would_fit.empty())
    text << "would fit: no batch, context or policy does; use a smaller model or a larger platform\n";
  std::string whole = text.str();
  whole.pop_back();  // messages end where they are printed
  return whole;
}

}  // namespace hybridgen
