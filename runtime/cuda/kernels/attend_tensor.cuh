// attend over fp16 KV on the tensor cores (tensor_rows.cuh).
#pragma once

#include "runtime/cuda/kernels/attend.cuh"

namespace hybridgen::cuda {

// args.kv_type is f16.
void attend_tensor(const AttendArgs& args, cudaStream_t stream);

}  // namespace hybridgen::cuda
