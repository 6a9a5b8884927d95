#include "core/policy/registry.hpp"

#include "core/base/check.hpp"

namespace hybridgen {

// One line per part; the name is the file's in parts/.
#define HYBRIDGEN_PARTS(PART)     \
  PART(attention_device)          \
  PART(attention_stream)          \
  PART(attention_logit_parallel)  \
  PART(attention_host)            \
  PART(attention_pages)           \
  PART(attention_budget)          \
  PART(attention_partial_keys)    \
  PART(select_all)                \
  PART(select_top_k)              \
  PART(select_threshold)          \
  PART(select_page_bound)         \
  PART(select_sink_window)        \
  PART(select_heavy_hitter)       \
  PART(select_observation_window) \
  PART(select_mean_threshold)     \
  PART(split_fixed)               \
  PART(split_feedback)            \
  PART(split_model_based)         \
  PART(split_newest)              \
  PART(placement_unified)         \
  PART(placement_semantic)        \
  PART(placement_interleave)      \
  PART(placement_tier_order)      \
  PART(placement_k_in_cxl)        \
  PART(admission_continuous)      \
  PART(admission_static)          \
  PART(lookahead_off)             \
  PART(lookahead_choose)          \
  PART(lookahead_use)             \
  PART(lookahead_auto)

#define HYBRIDGEN_DECLARE(name) PartEntry name();
HYBRIDGEN_PARTS(HYBRIDGEN_DECLARE)
#undef HYBRIDGEN_DECLARE

const std::vector<PartEntry>& part_registry() {
#define HYBRIDGEN_ENTRY(name) name(),
  static const std::vector<PartEntry> kParts = {HYBRIDGEN_PARTS(HYBRIDGEN_ENTRY)};
#undef HYBRIDGEN_ENTRY
  return kParts;
}

const std::vector<PresetEntry>& preset_registry() {
  static const std::vector<PresetEntry> kPresets = {
      {"full-gpu",
       "all KV on the device; the bound of quality, and of speed while it fits",
       {"full-gpu", "device", "", "", ""}},
      {"flexgen",
       "KV on the host, streamed to the device layer by layer (FlexGen, GPU attention, one batch)",
       {"flexgen", "stream", "", "", "unified"}},
      {"flexgen-cpu-attention",
       "KV on the host and attended there, only queries and partial outputs move (FlexGen, CPU attention)",
       {"flexgen-cpu-attention", "host", "", "newest", "unified"}},
      {"hybridgen",
       "logit-parallel attention split between device and host (HybridGen)",
       {"hybridgen", "logit-parallel", "top-k", "fixed", "unified", "continuous", "off"}},
      {"quest",
       "all KV on the device, each query head reads the pages that may score highest (Quest)",
       {"quest", "pages", "page-bound", "", ""}},
      {"streaming-llm",
       "the device keeps a budget of tokens: the first ones and the newest (StreamingLLM)",
       {"streaming-llm", "budget", "sink-window", "", ""}},
      {"h2o",
       "the device keeps a budget of tokens: the newest and those most attended to so far (H2O)",
       {"h2o", "budget", "heavy-hitter", "", ""}},
      {"snapkv",
       "the device keeps the prompt's tokens that its end looks at, and what is generated (SnapKV)",
       {"snapkv", "budget", "observation-window", "", ""}},
      {"infinigen",
       "KV on the host, rows guessed a layer ahead by a few columns of K come up (InfiniGen)",
       {"infinigen", "partial-keys", "mean-threshold", "", "unified"}},
  };
  return kPresets;
}

std::string* Composition::choice(const std::string& slot) {
  if (slot == "attention") return &attention;
  if (slot == "select") return &select;
  if (slot == "split") return &split;
  if (slot == "placement") return &placement;
  if (slot == "admission") return &admission;
  if (slot == "lookahead") return &lookahead;
  return nullptr;
}

const std::vector<std::string>& part_slots() {
  static const std::vector<std::string> kSlots = {"attention", "select",    "split",
                                                  "placement", "admission", "lookahead"};
  return kSlots;
}

const PartEntry* find_part(const std::string& slot, const std::string& name) {
  for (const PartEntry& part : part_registry()) {
    if (slot == part.slot() && name == part.name) return &part;
  }
  return nullptr;
}

const PresetEntry* find_preset(const std::string& name) {
  for (const PresetEntry& preset : preset_registry()) {
    if (preset.name == name) return &preset;
  }
  return nullptr;
}

std::vector<ParamSpec> params_of(const Composition& composition) {
  std::vector<ParamSpec> params;
  for (const std::string& slot : part_slots()) {
    const std::string& name = *composition.choice(slot);
    if (name.empty()) continue;
    const PartEntry* part = find_part(slot, name);
    HG_CHECK(part != nullptr, slot << " " << name);
    params.insert(params.end(), part->params.begin(), part->params.end());
  }
  return params;
}

}  // namespace hybridgen
