// The small transfers of attention that device and host share, by kernels over mapped host memory: at a few
// kilobytes a copy engine's fixed cost is most of the time. Sizes that the host chose are read where it wrote
// them.
#pragma once

#include "runtime/cuda/kernels/launch.cuh"

namespace hybridgen::cuda {

// q of one token down: floats of device memory to mapped memory.
void send_query(const float* q, int floats, float* to_host, cudaStream_t stream);

// Floats of mapped memory to the device: the partial output of the host's attention.
void send_partial(const float* from_host, int floats, float* partial, cudaStream_t stream);

struct SendScoresArgs {
  const std::int32_t* host_offsets = nullptr;  // mapped: [heads + 1], packed rows of each query head
  const float* host_scores = nullptr;          // mapped: by packed row
  int heads = 0;
  std::int32_t* offsets = nullptr;  // on the device
  float* scores = nullptr;
};
void send_scores(const SendScoresArgs& args, int blocks, cudaStream_t stream);

struct SendRowsArgs {
  const std::int32_t* host_offsets = nullptr;  // mapped; the last says how many scores
  int heads = 0;
  int group = 1;                           // query heads, and scores, that share a row
  std::int32_t* offsets = nullptr;         // on the device; null: they have come up otherwise
  const std::byte* host_packed = nullptr;  // mapped: [packed row][row_bytes]
  int row_bytes = 0;                       // a multiple of 16
  std::byte* packed = nullptr;             // on the device
};
void send_rows(const SendRowsArgs& args, int blocks, cudaStream_t stream);

}  // namespace hybridgen::cuda
