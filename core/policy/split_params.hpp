// Parameters that several split parts share: one key, one meaning.
#pragma once

#include "core/policy/params.hpp"
#include "core/policy/part_context.hpp"

namespace hybridgen {

// Newest tokens on the device: the number of a fixed split, the most of one that moves.
ParamSpec device_kv_tokens_param();
// Newest host tokens that the host scans; where a scheduler moves it, its start.
ParamSpec scan_cap_param();
// Whose time the host's is held against, and where the times come from.
ParamSpec feedback_source_param();
ParamSpec feedback_against_param();
ParamSpec feedback_interval_param();
ParamSpec feedback_dead_band_param();

// The ratio a scheduler starts from: the select part's topk_ratio or max_rows_ratio. Throws BadInput where
// the select part has none to move.
Ppm start_ratio(const PartContext& context, const char* part);

}  // namespace hybridgen
