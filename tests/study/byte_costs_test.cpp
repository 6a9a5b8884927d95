#include "study/byte_costs.hpp"

#include <gtest/gtest.h>

#include "formats/platform.hpp"
#include "formats/report_json.hpp"

namespace hybridgen {
namespace {

const ByteCost& find(const std::vector<ByteCost>& costs, const std::string& from, const std::string& to) {
  for (const ByteCost& cost : costs) {
    if (cost.from == from && cost.to == to) return cost;
  }
  throw std::runtime_error(from + " - " + to + " is not there");
}

Machine two_sides() {
  Machine m("two");
  const ChannelId bus = m.add_channel("bus", ChannelKind::memory, 100e9);
  const ChannelId far = m.add_channel("far", ChannelKind::memory, 30e9);
  const ChannelId wire = m.add_channel("wire", ChannelKind::link, 12e9);
  const TierId hbm = m.add_tier("hbm", TierKind::hbm, 1 << 30, bus, true);
  const TierId dram = m.add_tier("dram", TierKind::dram, 1 << 30, bus);
  const TierId cxl = m.add_tier("cxl", TierKind::cxl, 1 << 30, far);
  ProcessorCosts costs;
  costs.kernels[static_cast<std::size_t>(OpKind::attend)] = {500, 50e9, 0, 0, 0};
  costs.kernels[static_cast<std::size_t>(OpKind::ffn)] = {900, 40e9, 0, 0, 0};
  const ProcessorId cpu = m.add_processor("cpu", ProcessorKind::cpu, costs);
  m.set_access_links(cpu, dram, {});
  m.set_access_links(cpu, cxl, {wire});
  m.set_copy_links(dram, hbm, {wire});
  m.set_copy_links(dram, cxl, {});
  m.set_copy_cost(Role::h2d, {2000, 10e9});
  m.set_copy_cost(Role::d2h, {3000, 9e9});
  return m;
}

TEST(ByteCosts, the_narrowest_on_the_way_is_named) {
  const ByteCostReport report = byte_costs(two_sides());
  const ByteCost& near = find(report.in_place, "cpu", "dram");
  EXPECT_EQ(near.bytes_per_s, 50e9);  // the fastest kernel, below the bus
  EXPECT_EQ(near.limited_by, "its kernels");
  EXPECT_EQ(near.fixed_ns, 500);
  const ByteCost& far = find(report.in_place, "cpu", "cxl");
  EXPECT_EQ(far.bytes_per_s, 12e9);
  EXPECT_EQ(far.limited_by, "wire");
  EXPECT_FALSE(find(report.in_place, "cpu", "hbm").reachable);
  const ByteCost& up = find(report.copies, "dram", "hbm");
  EXPECT_EQ(up.bytes_per_s, 10e9);
  EXPECT_EQ(up.limited_by, "copy engine");
  EXPECT_TRUE(up.emulated);
  EXPECT_DOUBLE_EQ(up.ns(10'000), 2000 + 1000);
  const ByteCost& aside = find(report.copies, "dram", "cxl");
  EXPECT_EQ(aside.limited_by, "far");
  EXPECT_EQ(aside.note, "no lane copies this way");
  EXPECT_EQ(aside.fixed_ns, 0);
  EXPECT_EQ(report.in_place.size(), 3U);
  EXPECT_EQ(report.copies.size(), 6U);
}

TEST(ByteCosts, text_marks_what_is_emulated_and_what_has_no_path) {
  const std::string text = to_text(byte_costs(two_sides()));
  EXPECT_NE(text.find("  dram - hbm (emulated)  10.0"), std::string::npos) << text;
  EXPECT_NE(text.find("no path"), std::string::npos) << text;
  const std::string json = to_json(byte_costs(two_sides()));
  EXPECT_NE(json.find("\"limited_by\": \"wire\""), std::string::npos) << json;
}

// Figures of the file, by hand: what a reader of h100-80.yaml must be able to tell from the table.
TEST(ByteCosts, shipped_h100_costs_what_its_file_says) {
  const ByteCostReport report = byte_costs(load_platform(find_platform("h100-80")).machine);
  EXPECT_EQ(find(report.copies, "dram", "hbm").bytes_per_s, 51.5e9);
  EXPECT_EQ(find(report.copies, "cxl", "hbm").limited_by, "cxl");
  EXPECT_EQ(find(report.copies, "cxl", "hbm").bytes_per_s, 48e9);
  EXPECT_EQ(find(report.in_place, "xeon8468_1", "cxl").limited_by, "cxl_far");
  EXPECT_EQ(find(report.in_place, "xeon8468", "dram1").limited_by, "upi");
  EXPECT_EQ(find(report.in_place, "h100", "hbm").limited_by, "its kernels");
  EXPECT_FALSE(find(report.in_place, "h100", "dram").reachable);
}

}  // namespace
}  // namespace hybridgen
