// The words by which files and people name the kinds of things in a machine.
#include <array>

#include "core/machine/channel.hpp"
#include "core/machine/lane.hpp"
#include "core/machine/op_kind.hpp"
#include "core/machine/processor.hpp"
#include "core/machine/tier.hpp"

namespace hybridgen {
namespace {

constexpr std::array<const char*, kOpKinds> kOpNames = {
    "embed",         "norm_qkv",       "attend",       "prefill_attend", "load_kv",       "offload_kv",
    "keep_kv",       "send_query",     "host_logits",  "select",         "pack_rows",     "send_scores",
    "send_rows",     "device_logits",  "joint_attend", "project_out",    "ffn",           "lm_head",
    "sample",        "host_attend",    "send_partial", "device_partial", "join_partials", "page_bounds",
    "select_pages",  "attend_pages",   "score_prompt", "keep_rows",      "evict_row",     "attend_kept",
    "predict_query", "pack_keys",      "send_keys",    "row_logits",     "fit_logits",    "correct_scores",
    "partial_keys",  "partial_select", "send_choice",  "pool_row",       "attend_fetched"};

template <std::size_t N, class Kind>
const char* pick(const std::array<const char*, N>& names, Kind kind) {
  return names.at(static_cast<std::size_t>(kind));
}

}  // namespace

const char* name_of(TierKind kind) {
  return pick(std::array{"hbm", "dram", "cxl", "disk", "interleaved"}, kind);
}
const char* name_of(ChannelKind kind) {
  return pick(std::array{"memory", "link", "duplex"}, kind);
}
const char* name_of(ProcessorKind kind) {
  return pick(std::array{"gpu", "cpu", "host_device"}, kind);
}
const char* name_of(Role role) {
  return pick(std::array{"device", "host", "h2d", "d2h"}, role);
}
const char* name_of(OpKind kind) {
  return pick(kOpNames, kind);
}

bool parse_op_kind(std::string_view name, OpKind& kind) {
  for (std::size_t i = 0; i < kOpNames.size(); ++i) {
    if (name == kOpNames[i]) {
      kind = static_cast<OpKind>(i);
      return true;
    }
  }
  return false;
}

}  // namespace hybridgen
