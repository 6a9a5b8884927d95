// joint_attend over fp16 V on the tensor cores (tensor_rows.cuh).
#pragma once

#include "runtime/cuda/kernels/joint_attend.cuh"

namespace hybridgen::cuda {

// args.kv_type is f16.
void joint_tensor(const JointAttendArgs& args, cudaStream_t stream);

}  // namespace hybridgen::cuda
