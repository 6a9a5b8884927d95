// device_logits over fp16 K on the tensor cores (tensor_rows.cuh).
#pragma once

#include "runtime/cuda/kernels/device_logits.cuh"

namespace hybridgen::cuda {

// args.kv_type is f16.
void logits_tensor(const DeviceLogitsArgs& args, cudaStream_t stream);

}  // namespace hybridgen::cuda
