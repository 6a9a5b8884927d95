// The card's own streaming read: the yardstick of every kernel that is bound by memory.
#pragma once

#include "runtime/cuda/kernels/launch.cuh"

namespace hybridgen::cuda {

// Reads all of `data`, 16 bytes per thread and load; bytes a multiple of 16. sink: where a sum goes that no
// data gives, so that no load can be left out.
void stream_read(const std::byte* data, std::int64_t bytes, int blocks, unsigned* sink, cudaStream_t stream);

}  // namespace hybridgen::cuda
