// What decode runs on a card say of its platform: what each op kind takes within a step, where
// micro-benchmarks know a kernel by itself.
#pragma once

#include <vector>

#include "core/base/units.hpp"
#include "formats/bench_result.hpp"
#include "formats/platform_description.hpp"

namespace hybridgen {

// How many logits the select ops of those runs scanned: one of each query head per token on the host.
struct DecodeScan {
  int query_heads = 0;
  Tokens device_tokens = 0;
};

// `card` with the costs of every op kind that the results of decode stages time: a fixed cost and a rate
// through the contexts' medians, least squares of the relative error. They are those of the first system that
// has the kind: full-gpu, then hybridgen, flexgen, flexgen-cpu-attention and hybridgen one layer ahead, then
// any. A memory or link that an op was faster than becomes as fast as the op. A card without such results
// comes back as it is.
PlatformDescription with_decode_costs(PlatformDescription card, const std::vector<BenchResult>& results,
                                      const DecodeScan& scan);

}  // namespace hybridgen
