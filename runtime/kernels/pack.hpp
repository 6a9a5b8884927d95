// Gathering chosen rows of a KV segment into a contiguous buffer, for the transfer to the device.
#pragma once

#include <cstdint>

#include "runtime/kernels/kv_type.hpp"

namespace hybridgen::kernels {

// target[j] = row indices[j], for j < count; index 0 is the first row of the first span. Any order of
// indices, repetitions allowed. Rows are copied bit for bit. Called by the host lane after a selection, per
// query head (or per KV head), no allocation.
void pack_rows(KvType type, int head_dim, const RowSpan* spans, int span_count, const std::int32_t* indices,
               std::int64_t count, void* target);

}  // namespace hybridgen::kernels
