#include "runtime/cuda/kernels/embed.cuh"

#include "runtime/cuda/kernels/device.cuh"

namespace hybridgen::cuda {
namespace {

constexpr int kThreads = 256;

__global__ void embed_kernel(EmbedArgs args) {
  const std::int64_t query = blockIdx.x;
  if (query >= args.step->query_tokens) return;
  int r = 0;
  while (r + 1 < args.step->row_count && args.rows[r + 1].first_query <= query) ++r;
  const RowParams row = args.rows[r];
  const std::int64_t position = row.first_position + query - row.first_query;
  const std::int32_t token = args.tokens[row.request * args.token_stride + position];
  const auto* from =
      reinterpret_cast<const __half*>(args.embedding) + static_cast<std::int64_t>(token) * args.hidden;
  for (int i = threadIdx.x; i < args.hidden; i += kThreads) {
    float x = __half2float(from[i]);
    if (args.positions != nullptr) {
      const auto* table = reinterpret_cast<const __half*>(args.positions);
      x += __half2float(table[(position + args.position_offset) * args.hidden + i]);
    }
    args.out[query * args.hidden + i] = x;
  }
  if (args.frequencies == nullptr) return;
  const int half = args.head_dim / 2;
  for (int i = threadIdx.x; i < half; i += kThreads) {
    double sine = 0;
    double cosine = 0;
    sincos(static_cast<double>(position) * args.frequencies[i], &sine, &cosine);
    args.cosine[query * half + i] = static_cast<float>(cosine);
    args.sine[query * half + i] = static_cast<float>(sine);
  }
}

}  // namespace

void embed(const EmbedArgs& args, std::int64_t query_tokens, cudaStream_t stream) {
  embed_kernel<<<static_cast<unsigned>(query_tokens), kThreads, 0, stream>>>(args);
  check_launch("embed");
}

}  // namespace hybridgen::cuda
