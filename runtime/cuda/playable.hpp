// What the CUDA executor can play, asked before anything is taken on the card. Needs no GPU to ask.
#pragma once

#include "core/machine/machine.hpp"
#include "core/machine/model_shape.hpp"
#include "core/residency/kv_dtype.hpp"

namespace hybridgen::cuda {

// NotAvailable with one sentence: the roles device, h2d and d2h must lie on a GPU's lanes and host on a
// CPU's; the kernels take head_dim 64 or 128, up to 8 query heads per KV head, and widths that are multiples
// of 8; K and V may be fp16, bf16 or fp32. What a policy asks for is no reason: every op kind has its
// kernels.
void check_playable_by_cuda(const Machine& machine, const ModelShape& shape, KvDtype kv_dtype);

}  // namespace hybridgen::cuda
