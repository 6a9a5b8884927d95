// Every part and preset by name. A new part is one file in parts/, one line in registry.cpp, one line of
// CMake.
#pragma once

#include <string>
#include <vector>

#include "core/policy/parts.hpp"

namespace hybridgen {

// Which choice fills which slot; empty where the attention part needs none.
struct Composition {
  std::string preset;
  std::string attention;
  std::string select;
  std::string split;
  std::string placement;
  std::string admission = "continuous";  // every policy has one
  std::string lookahead{};

  // The slot's choice by the slot's name; null for an unknown slot.
  std::string* choice(const std::string& slot);
  const std::string* choice(const std::string& slot) const {
    return const_cast<Composition*>(this)->choice(slot);
  }
};

struct PresetEntry {
  std::string name;
  std::string sentence;
  Composition composition;
};

const std::vector<PartEntry>& part_registry();
const std::vector<PresetEntry>& preset_registry();

// Null when there is none.
const PartEntry* find_part(const std::string& slot, const std::string& name);
const PresetEntry* find_preset(const std::string& name);
// The slots, in the order they are listed to people.
const std::vector<std::string>& part_slots();

// The parameters of a composition: those of its parts, in slot order.
std::vector<ParamSpec> params_of(const Composition& composition);

}  // namespace hybridgen
