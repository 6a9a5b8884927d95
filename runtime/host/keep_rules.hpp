// Which rows stay: the rules of core/step/keep_rule.hpp, for one KV head. Deterministic; equal masses are
// decided by position, as each rule says.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/step/op.hpp"

namespace hybridgen {

struct KeptToken {
  std::int64_t position = 0;
  float mass = 0;  // what the rule remembers of it
};

// The `count` tokens of a prompt that stay, in the order of their positions. mass: by position, as
// score_prompt leaves it; unused by sink_window.
std::vector<KeptToken> rows_to_keep(SelectRule rule, const KeepRule& keep, std::span<const float> mass,
                                    Tokens prompt, Tokens count);

// The slot of the row that goes when the token at `position` comes. positions, mass: of all rows, by slot.
Tokens row_to_evict(SelectRule rule, const KeepRule& keep, std::span<const std::int32_t> positions,
                    std::span<const float> mass, std::int64_t position);

// The mass that a new token starts with.
float mass_of_new_row(SelectRule rule);

}  // namespace hybridgen
