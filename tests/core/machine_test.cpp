// Machine: channel paths, roles, tiers by kind.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/check.hpp"
#include "tests/support/tiny_machine.hpp"

namespace hybridgen {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

TEST(Machine, access_path_has_the_tiers_own_channel_first) {
  const test::TinyMachine tiny;
  EXPECT_THAT(tiny.machine.access_path(tiny.cpu, tiny.cxl), ElementsAre(tiny.cxl_channel, tiny.cxl_link));
  EXPECT_THAT(tiny.machine.access_path(tiny.gpu, tiny.hbm), ElementsAre(tiny.hbm_channel));
}

TEST(Machine, access_that_was_never_defined_names_both_ends) {
  const test::TinyMachine tiny;
  EXPECT_FALSE(tiny.machine.reaches(tiny.gpu, tiny.dram));
  EXPECT_THAT([&] { tiny.machine.access_path(tiny.gpu, tiny.dram); },
              ThrowsMessage<InternalError>(HasSubstr("processor gpu cannot reach tier dram")));
}

TEST(Machine, copy_path_is_source_links_destination) {
  const test::TinyMachine tiny;
  EXPECT_THAT(tiny.machine.copy_path(tiny.dram, tiny.hbm),
              ElementsAre(tiny.dram_channel, tiny.pcie_up, tiny.pcie_duplex, tiny.hbm_channel));
  EXPECT_THAT(tiny.machine.copy_path(tiny.hbm, tiny.dram),
              ElementsAre(tiny.hbm_channel, tiny.pcie_down, tiny.pcie_duplex, tiny.dram_channel));
}

TEST(Machine, copy_path_is_one_direction) {
  const test::TinyMachine tiny;
  EXPECT_FALSE(tiny.machine.copies(tiny.dram, tiny.cxl));
  EXPECT_THAT([&] { tiny.machine.copy_path(tiny.dram, tiny.cxl); },
              ThrowsMessage<InternalError>(HasSubstr("no copy path from dram to cxl")));
}

TEST(Machine, copy_inside_one_memory_occupies_it_once) {
  test::TinyMachine tiny;
  tiny.machine.set_copy_links(tiny.dram, tiny.dram, {tiny.dram_channel});
  EXPECT_THAT(tiny.machine.copy_path(tiny.dram, tiny.dram), ElementsAre(tiny.dram_channel));
}

TEST(Machine, second_definition_is_our_bug) {
  test::TinyMachine tiny;
  EXPECT_THROW(tiny.machine.set_role(Role::host, tiny.stream), InternalError);
  EXPECT_THROW(tiny.machine.set_access_links(tiny.gpu, tiny.hbm, {}), InternalError);
  EXPECT_THROW(tiny.machine.set_copy_links(tiny.dram, tiny.hbm, {}), InternalError);
}

TEST(Machine, tier_of_gives_the_first_of_a_kind_or_nothing) {
  test::TinyMachine tiny;
  tiny.machine.add_tier("dram of socket 1", TierKind::dram, 1, tiny.dram_channel);
  EXPECT_EQ(tiny.machine.tier_of(TierKind::dram), tiny.dram);
  EXPECT_EQ(tiny.machine.tier_of(TierKind::disk), std::nullopt);
}

TEST(Machine, role_without_lane_names_machine_and_role) {
  const Machine machine("bare");
  EXPECT_THAT([&] { machine.lane_of(Role::h2d); },
              ThrowsMessage<InternalError>(HasSubstr("bare has no lane for role h2d")));
}

TEST(OpKind, every_kind_parses_back_from_its_name) {
  for (int i = 0; i < kOpKinds; ++i) {
    const auto kind = static_cast<OpKind>(i);
    OpKind parsed = OpKind::embed;
    EXPECT_TRUE(parse_op_kind(name_of(kind), parsed));
    EXPECT_EQ(parsed, kind);
  }
  OpKind unused = OpKind::embed;
  EXPECT_FALSE(parse_op_kind("no_such_kind", unused));
}

TEST(ModelShape, parameters_count_every_matrix_and_norm) {
  // hidden 12, q 20, kv 10, ffn 28: qkv 12 x 40, out 12 x 20, ffn 3 x 12 x 28, two norms of 12.
  ModelShape model = test::tiny_model();
  EXPECT_EQ(model.parameters(), 2 * 1752 + 64 * 12 + 12);
  model.tied_embeddings = false;
  EXPECT_EQ(model.parameters(), 2 * 1752 + 2 * 64 * 12 + 12);
}

}  // namespace
}  // namespace hybridgen
