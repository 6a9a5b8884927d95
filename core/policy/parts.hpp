// A policy part as the registry knows it. Each choice is one file in parts/, whose name is the name in YAML.
// A part is pure given its parameters: equal inputs, equal answers; no clock, no executor, no randomness.
#pragma once

#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "core/policy/admission_part.hpp"
#include "core/policy/attention_part.hpp"
#include "core/policy/lookahead_part.hpp"
#include "core/policy/params.hpp"
#include "core/policy/part_context.hpp"
#include "core/policy/placement_part.hpp"
#include "core/policy/select_part.hpp"
#include "core/policy/split_part.hpp"

namespace hybridgen {

// The other parts of the composition, for attention to use. Null where the composition has none.
struct AttentionNeeds {
  std::unique_ptr<SplitPart> split;
  std::unique_ptr<SelectPart> select;
  std::unique_ptr<PlacementPart> placement;
  std::unique_ptr<LookaheadPart> lookahead;
};

using MakeSplit = std::unique_ptr<SplitPart> (*)(const PartContext&);
using MakeSelect = std::unique_ptr<SelectPart> (*)(const PartContext&);
using MakePlacement = std::unique_ptr<PlacementPart> (*)(const PartContext&);
using MakeAdmission = std::unique_ptr<AdmissionPart> (*)(const PartContext&);
using MakeLookahead = std::unique_ptr<LookaheadPart> (*)(const PartContext&);
using MakeAttention = std::unique_ptr<AttentionPart> (*)(const PartContext&, AttentionNeeds);

// A part as the registry knows it.
struct PartEntry {
  std::string name;
  std::string sentence;
  std::vector<ParamSpec> params;
  std::variant<MakeAttention, MakeSelect, MakeSplit, MakePlacement, MakeAdmission, MakeLookahead>
      make;  // the alternative is the slot

  const char* slot() const {
    constexpr const char* kSlots[] = {"attention", "select", "split", "placement", "admission", "lookahead"};
    return kSlots[make.index()];
  }
};

}  // namespace hybridgen
