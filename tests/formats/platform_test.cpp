#include "formats/platform.hpp"

#include <regex>

#include "formats/platform_reader.hpp"
#include "formats/platform_writer.hpp"
#include "tests/formats/support.hpp"

namespace hybridgen {
namespace {

// The least that is a platform: one memory of each needed kind, a host device in place of a GPU.
PlatformDescription small() {
  PlatformDescription p;
  p.name = "small";
  p.description = "two memories: \"quoted\"\nand a line";
  p.channels = {{"bus", ChannelKind::memory, 20.5, "measured"}, {"pcie", ChannelKind::link, 10, "measured"}};
  p.memories = {{"arena", TierKind::hbm, 2.5, "bus", true, "measured"},
                {"ram", TierKind::dram, 4, "bus", false, "measured"}};
  PlatformDescription::Kernel base{"default", 100, 18.25, 50, {}, {}, "measured"};
  PlatformDescription::Kernel select{"select", 50.5, {}, {}, 1.5, 0.25, "measured"};
  p.processors = {{"dev", ProcessorKind::host_device, {{"arena", {}}}, {base}},
                  {"cpu", ProcessorKind::cpu, {{"ram", {"pcie"}}}, {base, select}}};
  p.lanes = {{"d", "dev", 1, 0, {Role::device}}, {"h", "cpu", {}, 1, {Role::host, Role::h2d, Role::d2h}}};
  p.copies = {{"ram", "arena", {"pcie"}}, {"arena", "ram", {}}};
  p.h2d = {300, 9.5, "measured"};
  p.d2h = {400, 8.5, "measured"};
  p.step_gap_ns = 1234.5;
  p.step_gap_source = "measured";
  p.measured = {{"bandwidth", "2 threads, \"node\" 0", "read", "GB/s", 33.5, 0.04, {}}};
  return p;
}

std::string said(const std::string& text) {
  return complaint([&] { machine_from(read_platform_description(text, "p.yaml")); });
}

std::string said(const PlatformDescription& platform) {
  return said(platform_yaml(platform));
}

TEST(Platform, written_description_reads_back_equal) {
  const std::string text = platform_yaml(small(), "made by a test\n\nsecond paragraph");
  EXPECT_TRUE(text.starts_with("# made by a test\n#\n# second paragraph\nplatform: small\n"));
  const PlatformDescription read = read_platform_description(text, "p.yaml");
  EXPECT_EQ(platform_yaml(read), platform_yaml(small()));
  EXPECT_EQ(read.description, small().description);
  ASSERT_EQ(read.measured.size(), 1u);
  EXPECT_EQ(read.measured[0].condition, "2 threads, \"node\" 0");
  EXPECT_EQ(read.measured[0].value, 33.5);
}

TEST(Platform, measured_figure_without_spread_is_refused) {
  PlatformDescription p = small();
  const std::string text = edited(platform_yaml(p), ", spread: 0.04", "");
  EXPECT_NE(said(text).find("measured[0].spread"), std::string::npos) << said(text);
  p.measured.clear();
  EXPECT_EQ(said(p), "");
}

TEST(Platform, units_become_those_of_the_core) {
  const Machine m = machine_from(small());
  EXPECT_EQ(m.channel(ChannelId(0)).bytes_per_s, 20.5e9);
  EXPECT_EQ(m.tier(TierId(0)).capacity, 5LL << 29);
  EXPECT_TRUE(m.tier(TierId(0)).emulated);
  EXPECT_EQ(m.step_gap_ns(), 1234.5);
  EXPECT_EQ(m.copy_cost(Role::d2h).bytes_per_s, 8.5e9);
  const ProcessorCosts& cpu = m.costs(ProcessorId(1));
  const KernelCost& select = cpu.kernels[static_cast<std::size_t>(OpKind::select)];
  EXPECT_EQ(select.items_per_s, 1.5e9);
  EXPECT_EQ(select.row_ns, 0.25);
  EXPECT_EQ(select.bytes_per_s, 0);  // a listed kind takes nothing from default
  EXPECT_EQ(cpu.kernels[static_cast<std::size_t>(OpKind::ffn)].flops_per_s, 50e9);
  EXPECT_EQ(m.lane(m.lane_of(Role::h2d)).name, "h");
  EXPECT_EQ(m.lane(m.lane_of(Role::h2d)).threads, 1);
  EXPECT_EQ(m.copy_path(TierId(1), TierId(0)), (ChannelPath{ChannelId(0), ChannelId(1)}));
  EXPECT_EQ(m.access_path(ProcessorId(1), TierId(1)), (ChannelPath{ChannelId(0), ChannelId(1)}));
}

TEST(Platform, shipped_h100_is_complete_and_sourced) {
  const Platform platform = load_platform(source_path("platform-models/h100-80.yaml"));
  const Machine& m = platform.machine;
  EXPECT_EQ(m.name(), "h100-80");
  ASSERT_TRUE(m.tier_of(TierKind::cxl));
  EXPECT_TRUE(m.reaches(m.lane(m.lane_of(Role::host)).processor, *m.tier_of(TierKind::cxl)));
  EXPECT_TRUE(m.copies(*m.tier_of(TierKind::hbm), *m.tier_of(TierKind::cxl)));
  EXPECT_EQ(m.lane(m.lane_of(Role::device)).threads, 0);
  EXPECT_EQ(platform.text, slurp(platform.path));
}

// Every platform of the grid: both kinds of memory and CXL, and no figure without where it comes from.
TEST(Platform, shipped_servers_are_complete_and_sourced) {
  for (const std::string name : {"a100-40", "h100-80", "rtx-5090", "h200"}) {
    const Platform platform = load_platform(source_path("platform-models/" + name + ".yaml"));
    const Machine& m = platform.machine;
    EXPECT_EQ(m.name(), name);
    ASSERT_TRUE(m.tier_of(TierKind::cxl)) << name;
    const ProcessorId host = m.lane(m.lane_of(Role::host)).processor;
    EXPECT_TRUE(m.reaches(host, *m.tier_of(TierKind::cxl))) << name;
    const ProcessorId gpu = m.lane(m.lane_of(Role::device)).processor;
    EXPECT_EQ(m.processor(gpu).kind, ProcessorKind::gpu) << name;
    // A memory of a nearer kind is never slower than one of a farther kind.
    const auto speed = [&](TierKind kind) { return m.channel(m.tier(*m.tier_of(kind)).channel).bytes_per_s; };
    EXPECT_GT(speed(TierKind::hbm), speed(TierKind::dram)) << name;
    EXPECT_GT(speed(TierKind::dram), speed(TierKind::cxl)) << name;
    std::istringstream lines(platform.text);
    const std::regex range("range [0-9.]+ (\\([^)]*\\) )?to [0-9.]+");
    for (std::string line; std::getline(lines, line);) {
      if (line.find("source:") == std::string::npos || line.find("assumption") == std::string::npos) continue;
      EXPECT_TRUE(std::regex_search(line, range)) << name << ": an assumption without its range: " << line;
    }
  }
}

TEST(Platform, cross_faults_are_said_with_remedy) {
  const auto spoilt = [](const std::function<void(PlatformDescription&)>& spoil) {
    PlatformDescription p = small();
    spoil(p);
    const std::string message = said(p);
    const std::size_t colon = message.find(": ");
    return colon == std::string::npos ? message : message.substr(colon + 2);  // places are tested elsewhere
  };
  EXPECT_EQ(spoilt([](auto&) {}), "");
  EXPECT_EQ(spoilt([](auto& p) {
              p.channels[1].name = "bus";
              p.processors[1].reaches[0].links = {};
              p.copies[0].links = {};
            }),
            "channels[1].name: the name 'bus' is taken; choose another");
  EXPECT_EQ(spoilt([](auto& p) { p.channels[1].name = "a b"; }),
            "channels[1].name: 'a b' is no name; use letters, digits, _ - and . only");
  EXPECT_EQ(spoilt([](auto& p) { p.memories[1].channel = "buss"; }),
            "memories[1].channel: unknown channel 'buss'; did you mean bus? (valid: bus, pcie)");
  EXPECT_EQ(spoilt([](auto& p) { p.lanes[1].roles.pop_back(); }),
            "lanes: no lane has the role d2h; add it to one");
  EXPECT_EQ(spoilt([](auto& p) { p.lanes[1].roles.push_back(Role::device); }),
            "lanes[1].roles: role device belongs to lane 'd' already; give it to one lane");
  EXPECT_EQ(spoilt([](auto& p) { p.copies.pop_back(); }),
            "copies: no copy from 'arena' to 'ram'; add {from: arena, to: ram}");
  EXPECT_EQ(spoilt([](auto& p) { p.copies.push_back(p.copies[0]); }),
            "copies[2].from: the copy from 'ram' to 'arena' is listed twice; keep one");
  EXPECT_EQ(spoilt([](auto& p) {
              p.copies[0].links = {"pcie", "bus"};
            }),
            "copies[0].links: 'bus' is the channel of memory 'ram' itself, so the way leads back to where it "
            "was; remove it");
  EXPECT_EQ(spoilt([](auto& p) { p.processors[1].reaches[0].links = {"bus"}; }),
            "processors[1].reaches[0].links: 'bus' is the channel of memory 'ram' itself, so the way leads "
            "back to where it was; remove it");
  EXPECT_EQ(spoilt([](auto& p) {
              p.copies.push_back({"ram", "ram", {}});
            }),
            "copies[2].to: a copy from 'ram' to itself leads nowhere; name another memory");
  EXPECT_EQ(spoilt([](auto& p) { p.processors[0].reaches[0].memory = "ram"; }),
            "processors: 'dev' runs the lane of role device but does not reach memory 'arena'; add {memory: "
            "arena} to its reaches");
  EXPECT_EQ(spoilt([](auto& p) {
              p.processors[0].reaches.push_back({"arena", {}});
            }),
            "processors[0].reaches[1].memory: 'arena' is listed twice; keep one entry");
  EXPECT_EQ(spoilt([](auto& p) { p.memories[0].kind = TierKind::disk; }),
            "memories: none is of kind hbm; add one");
  EXPECT_EQ(spoilt([](auto& p) {
              p.processors[0].kind = ProcessorKind::gpu;
              p.lanes[0].first_core = {};
            }),
            "lanes[0].threads: a lane of a gpu has no threads on cores; remove it");
  EXPECT_EQ(spoilt([](auto& p) { p.h2d.source = ""; }), "copy_costs.h2d.source: is empty; write text");
}

TEST(Platform, cxl_must_be_reached_and_copied) {
  PlatformDescription p = small();
  p.memories.push_back({"far", TierKind::cxl, 8, "bus", false, "measured"});
  const std::string message = said(p);
  EXPECT_NE(message.find("'cpu' runs the lane of role host but does not reach memory 'far'"),
            std::string::npos);
  EXPECT_NE(message.find("no copy from 'far' to 'arena'"), std::string::npos);
  EXPECT_NE(message.find("no copy from 'arena' to 'far'"), std::string::npos);
}

TEST(Platform, numa_node_and_interleaved_memory_reach_the_machine) {
  PlatformDescription p = small();
  p.memories[1].numa_node = 0;
  p.memories.push_back({"far", TierKind::cxl, 8, "bus", true, "measured", 2});
  p.memories.push_back({"both", TierKind::interleaved, 8, "bus", false, "measured", {}, {"ram", "far"}});
  for (const char* memory : {"far", "both"}) {
    p.processors[1].reaches.push_back({memory, {}});
    p.copies.push_back({memory, "arena", {}});
    p.copies.push_back({"arena", memory, {}});
  }
  const Machine m = machine_from(read_platform_description(platform_yaml(p), "p.yaml"));
  EXPECT_EQ(m.tier(TierId(0)).numa_node, -1);
  EXPECT_EQ(m.tier(TierId(1)).numa_node, 0);
  EXPECT_EQ(m.tier(TierId(2)).numa_node, 2);
  EXPECT_EQ(m.tier(TierId(3)).over, (std::vector{TierId(1), TierId(2)}));
  EXPECT_TRUE(m.tier(TierId(3)).emulated) << "as one of the memories below it is";
}

TEST(Platform, interleaved_memory_of_the_wrong_things_is_refused) {
  const auto with = [](const std::string& lines) {
    return said(
        edited(platform_yaml(small()), "processors:",
               "  - {name: both, kind: interleaved, capacity_GiB: 1, channel: bus, source: measured, " +
                   lines + "}\nprocessors:"));
  };
  EXPECT_NE(with("over: [ram]").find("memories[2].over: one memory is nothing to alternate between"),
            std::string::npos);
  EXPECT_NE(with("over: [ram, arena]").find("pages cannot lie in 'arena', which is of kind hbm"),
            std::string::npos);
  EXPECT_NE(with("over: [ram, rum]").find("did you mean ram?"), std::string::npos);
  EXPECT_NE(
      with("over: [ram, arena], numa_node: 1").find("its pages lie on the nodes of the memories under over"),
      std::string::npos);
  EXPECT_NE(said(edited(platform_yaml(small()), "kind: dram", "kind: dram\n    over: [arena]"))
                .find("memories[1].over: only a memory of kind interleaved is made of others; remove it"),
            std::string::npos);
}

TEST(Platform, unknown_kernel_offers_the_op_kind) {
  const std::string text = edited(platform_yaml(small()), "      select:", "      selct:");
  EXPECT_NE(said(text).find("processors[1].kernels.selct: unknown key; did you mean select?"),
            std::string::npos);
}

TEST(Platform, files_that_cannot_be_read_are_named) {
  TempFolder temp;
  EXPECT_EQ(complaint([&] { load_platform(temp / "none.yaml"); }),
            temp / "none.yaml: cannot be read (No such file or directory); check the path");
  EXPECT_EQ(complaint([&] { load_platform(temp / ""); }), temp / ": is a folder; name a file");
  spill(temp / "empty.yaml", "# nothing\n");
  EXPECT_EQ(complaint([&] { load_platform(temp / "empty.yaml"); }),
            temp /
                "empty.yaml:1:1: the file is empty; write a platform: platform, channels, memories, "
                "processors, ...");
}

TEST(Platform, found_by_name_from_any_directory) {
  TempFolder temp;
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(temp / "");
  const std::string found = find_platform("h100-80");  // above the test's executable
  const std::string message = complaint([] { find_platform("h100-8"); });
  std::filesystem::current_path(before);
  EXPECT_TRUE(found.ends_with("platform-models/h100-80.yaml"));
  EXPECT_NE(message.find("platform h100-8: not found in platform-models, "), std::string::npos) << message;
  EXPECT_NE(message.find("did you mean h100-80?"), std::string::npos) << message;
}

}  // namespace
}  // namespace hybridgen
