#include "runtime/cuda/kernels/rope_store.cuh"

#include "runtime/cuda/kernels/chained.cuh"
#include "runtime/cuda/kernels/device.cuh"
#include "runtime/cuda/logic/slots.hpp"
#include "runtime/cuda/logic/small_ops.hpp"

namespace hybridgen::cuda {
namespace {

constexpr int kThreads = 256;

// Each q and k head of one token over its own norm, a warp per head.
__device__ void norm_heads(const RopeStoreArgs& args, float* qkv) {
  const int dim = args.heads.head_dim;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int heads = args.heads.query_heads + args.heads.kv_heads;
  for (int head = static_cast<int>(threadIdx.x) / 32; head < heads; head += kThreads / 32) {
    float* x = qkv + head * dim;
    float squares = 0;
    for (int d = lane; d < dim; d += 32) squares += x[d] * x[d];
    const float factor = rsqrtf(sum_over<32>(squares) / static_cast<float>(dim) + args.eps);
    const float* weight = head < args.heads.query_heads ? args.q_norm : args.k_norm;
    for (int d = lane; d < dim; d += 32) x[d] *= factor * weight[d];
  }
  __syncthreads();  // others turn what this thread has normed
}

// A block per query token; a thread per pair of elements of a q or k head, then per element of v.
template <class T>
__global__ void rope_store_kernel(RopeStoreArgs args) {
  let_next_begin();
  wait_for_previous();
  const std::int64_t query = blockIdx.x;
  if (query >= args.step->query_tokens) return;
  int r = 0;
  while (r + 1 < args.step->row_count && args.rows[r + 1].first_query <= query) ++r;
  const KvStore store_of = args.stores == nullptr ? KvStore{} : args.stores[args.rows[r].slot];
  const std::int64_t position = args.rows[r].first_position + query - args.rows[r].first_query;
  const std::int32_t* next =
      args.next == nullptr ? nullptr : args.next + args.rows[r].slot * args.heads.kv_heads;
  const auto row_of = [&](int kv_head) {
    return kv_head * store_of.slots +
           (next != nullptr ? next[kv_head] : segment_slot(position, store_of.slots, store_of.sinks));
  };
  const int dim = args.heads.head_dim;
  const int half = dim / 2;
  const int turned_heads = args.heads.query_heads + args.heads.kv_heads;
  float* qkv = args.qkv + query * (turned_heads + args.heads.kv_heads) * dim;
  if (args.q_norm != nullptr) norm_heads(args, qkv);
  for (int i = threadIdx.x; i < turned_heads * half; i += kThreads) {
    const int head = i / half;
    const int pair = i % half;
    float* x = qkv + head * dim + pair;
    RopePair turned = {x[0], x[half]};
    if (args.cosine != nullptr) {
      turned = rotate(turned, args.cosine[query * half + pair], args.sine[query * half + pair]);
    }
    if (head < args.heads.query_heads) {
      x[0] = turned.low;
      x[half] = turned.high;
    } else {
      T* k = reinterpret_cast<T*>(store_of.k) + row_of(head - args.heads.query_heads) * dim + pair;
      store(k, turned.low);
      store(k + half, turned.high);
    }
  }
  const float* v = qkv + turned_heads * dim;
  for (int i = threadIdx.x; i < args.heads.kv_heads * dim; i += kThreads) {
    store(reinterpret_cast<T*>(store_of.v) + row_of(i / dim) * dim + i % dim, v[i]);
  }
}

}  // namespace

void rope_store(const RopeStoreArgs& args, std::int64_t query_tokens, cudaStream_t stream) {
  const auto blocks = static_cast<unsigned>(query_tokens);
  if (args.kv_type == KvType::f16) {
    launch_chained("rope_store", rope_store_kernel<__half>, blocks, kThreads, stream, args);
  } else if (args.kv_type == KvType::bf16) {
    launch_chained("rope_store", rope_store_kernel<kernels::Bfloat>, blocks, kThreads, stream, args);
  } else {
    launch_chained("rope_store", rope_store_kernel<float>, blocks, kThreads, stream, args);
  }
}

}  // namespace hybridgen::cuda
