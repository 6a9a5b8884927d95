// The registry: what every part and preset must have, whoever adds it.
#include "core/policy/registry.hpp"

#include <gtest/gtest.h>

#include <set>

#include "tests/support/tiny_machine.hpp"
#include "tests/support/tiny_policy.hpp"

namespace hybridgen {
namespace {

TEST(Registry, part_names_are_unique_within_a_slot) {
  std::set<std::pair<std::string, std::string>> seen;
  for (const PartEntry& part : part_registry()) {
    EXPECT_FALSE(part.name.empty());
    EXPECT_TRUE(seen.emplace(part.slot(), part.name).second) << part.slot() << " " << part.name;
    EXPECT_EQ(find_part(part.slot(), part.name), &part);
  }
}

TEST(Registry, every_part_and_preset_has_a_sentence) {
  for (const PartEntry& part : part_registry()) EXPECT_FALSE(part.sentence.empty()) << part.name;
  for (const PresetEntry& preset : preset_registry()) EXPECT_FALSE(preset.sentence.empty()) << preset.name;
}

TEST(Registry, every_parameter_has_sentence_and_range_that_holds_its_default) {
  for (const PartEntry& part : part_registry()) {
    for (const ParamSpec& spec : part.params) {
      EXPECT_FALSE(spec.name.empty()) << part.name;
      EXPECT_FALSE(spec.sentence.empty()) << spec.name;
      EXPECT_LT(spec.least, spec.most) << spec.name;
      if (spec.otherwise) {
        EXPECT_LE(spec.least, *spec.otherwise) << spec.name;
        EXPECT_LE(*spec.otherwise, spec.most) << spec.name;
      }
      if (spec.kind == ParamKind::ratio) {
        EXPECT_LE(spec.most, kPpmOne) << spec.name;
      }
    }
  }
}

TEST(Registry, preset_names_are_unique_and_their_parts_exist) {
  std::set<std::string> seen;
  for (const PresetEntry& preset : preset_registry()) {
    EXPECT_TRUE(seen.insert(preset.name).second) << preset.name;
    EXPECT_EQ(preset.composition.preset, preset.name);
    EXPECT_FALSE(preset.composition.attention.empty()) << preset.name;
    for (const std::string& slot : part_slots()) {
      const std::string& choice = *preset.composition.choice(slot);
      if (choice.empty()) continue;
      EXPECT_NE(find_part(slot, choice), nullptr) << preset.name << ": " << slot << " " << choice;
    }
  }
}

TEST(Registry, parameters_of_a_composition_have_unique_names) {
  for (const PresetEntry& preset : preset_registry()) {
    std::set<std::string> seen;
    for (const ParamSpec& spec : params_of(preset.composition)) {
      EXPECT_TRUE(seen.insert(spec.name).second) << preset.name << ": " << spec.name;
    }
  }
}

TEST(Registry, slots_and_choices_belong_together) {
  Composition composition;
  for (const std::string& slot : part_slots()) {
    ASSERT_NE(composition.choice(slot), nullptr) << slot;
    *composition.choice(slot) = slot;
  }
  EXPECT_EQ(composition.attention, "attention");
  EXPECT_EQ(composition.placement, "placement");
  EXPECT_EQ(composition.choice("no such slot"), nullptr);
}

TEST(Registry, unknown_names_give_null) {
  EXPECT_EQ(find_part("select", "device"), nullptr) << "a part of another slot";
  EXPECT_EQ(find_part("select", "none"), nullptr);
  EXPECT_EQ(find_preset("none"), nullptr);
}

TEST(Registry, every_preset_makes_a_policy_that_decides_and_builds) {
  const test::TinyMachine tiny;
  const ModelShape model = test::tiny_model();
  for (const PresetEntry& preset : preset_registry()) {
    Policy policy = test::make_policy(tiny.machine, model, {1, 10, 4}, preset.name);
    EXPECT_GT(policy.memory_plan().needed(tiny.hbm), 0) << preset.name;
    const std::vector<RequestView> requests = {{RequestId(0), 10, 0, 0, 0, 0, false}};
    const Decision decision = policy.decide({StepId(0), requests, Estimator()});
    ASSERT_EQ(decision.rows.size(), 1u) << preset.name;
    EXPECT_FALSE(policy.build(decision).ops.empty()) << preset.name;
  }
}

}  // namespace
}  // namespace hybridgen
