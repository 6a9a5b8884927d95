#include "runtime/cuda/kernels/prefill_attend.cuh"

#include "runtime/cuda/kernels/device.cuh"
#include "runtime/cuda/kernels/heads_dispatch.cuh"
#include "runtime/cuda/kernels/prefill_tensor.cuh"
#include "runtime/cuda/logic/online_softmax.hpp"
#include "runtime/cuda/logic/slots.hpp"

namespace hybridgen::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kLanes = 4;  // per query: each holds every fourth group of four elements of q and of the sum
constexpr int kQueries = kThreads / kLanes;
constexpr int kRows = 32;  // of K and V in shared memory
constexpr int kChunk = 8;  // rows between two looks at the maximum

template <int kDim>
struct Tile {
  float k[kRows][kDim];
  float v[kRows][kDim];
};

// Rows [first, first + kRows) of a KV head as fp32; zeros behind the last.
template <class T, int kDim>
__device__ void load_tile(const KvStore& kv, int kv_head, const RingRange& ring, std::int64_t first,
                          Tile<kDim>& tile) {
  constexpr int kElements = Vector<T>::kElements;
  for (int i = threadIdx.x; i < kRows * kDim / kElements; i += kThreads) {
    const int n = i / (kDim / kElements);
    const int d = i % (kDim / kElements) * kElements;
    float k[kElements] = {};
    float v[kElements] = {};
    if (first + n < ring.count) {
      const std::int64_t at = (kv_head * kv.slots + ring.slot(first + n)) * kDim + d;
      Vector<T>::unpack(*reinterpret_cast<const uint4*>(reinterpret_cast<const T*>(kv.k) + at), k);
      Vector<T>::unpack(*reinterpret_cast<const uint4*>(reinterpret_cast<const T*>(kv.v) + at), v);
    }
#pragma unroll
    for (int e = 0; e < kElements; ++e) {
      tile.k[n][d + e] = k[e];
      tile.v[n][d + e] = v[e];
    }
  }
}

// A lane's part of one query.
template <int kDim>
struct Query {
  static constexpr int kParts = kDim / (4 * kLanes);
  float4 q[kParts];
  float4 sum[kParts] = {};
  SoftmaxPiece piece;

  static __device__ int element(int part) {
    return (part * kLanes + static_cast<int>(threadIdx.x) % kLanes) * 4;
  }

  __device__ float logit(const float (&k)[kDim]) const {
    float total = 0;
#pragma unroll
    for (int part = 0; part < kParts; ++part) {
      const float4 x = *reinterpret_cast<const float4*>(&k[element(part)]);
      total += q[part].x * x.x + q[part].y * x.y + q[part].z * x.z + q[part].w * x.w;
    }
    return sum_over<kLanes>(total);
  }

  // Rows [n, n + kChunk) of the tile, of which the query sees those before `visible`.
  __device__ void attend(const Tile<kDim>& tile, int n, std::int64_t visible) {
    float weight[kChunk];
    float most = kNoLogit;
#pragma unroll
    for (int u = 0; u < kChunk; ++u) {
      const float x = logit(tile.k[n + u]);
      weight[u] = n + u < visible ? x : kNoLogit;
      most = fmaxf(most, weight[u]);
    }
    const float factor = raise_max(piece, most);
#pragma unroll
    for (int u = 0; u < kChunk; ++u) weight[u] = add_row(piece, weight[u]);
#pragma unroll
    for (int part = 0; part < kParts; ++part) {
      float4& s = sum[part];
      s.x *= factor, s.y *= factor, s.z *= factor, s.w *= factor;
#pragma unroll
      for (int u = 0; u < kChunk; ++u) {
        const float4 x = *reinterpret_cast<const float4*>(&tile.v[n + u][element(part)]);
        s.x += weight[u] * x.x, s.y += weight[u] * x.y, s.z += weight[u] * x.z, s.w += weight[u] * x.w;
      }
    }
  }
};

// A block per kQueries query tokens and query head.
template <class T, int kDim>
__global__ void __launch_bounds__(kThreads) prefill_attend_kernel(PrefillAttendArgs args) {
  __shared__ __align__(16) Tile<kDim> tile;
  const OpParams op = *args.op;
  const int head = blockIdx.y;
  const RingRange ring = newest_tokens(op.context, op.tokens, args.kv.slots, args.kv.sinks);
  const std::int64_t first_row = op.context - op.tokens;  // position of row 0
  const std::int64_t first_query = static_cast<std::int64_t>(blockIdx.x) * kQueries;
  const std::int64_t mine = first_query + threadIdx.x / kLanes;
  const bool there = mine < op.query_tokens;
  const std::int64_t visible = there ? causal_rows(first_row, op.tokens, op.first_position + mine) : 0;
  const std::int64_t last = min(first_query + kQueries, op.query_tokens) - 1;
  const std::int64_t rows =
      causal_rows(first_row, op.tokens, op.first_position + last);  // of the whole block
  Query<kDim> query;
#pragma unroll
  for (int part = 0; part < Query<kDim>::kParts; ++part) {
    query.q[part] = {0, 0, 0, 0};
    if (!there) continue;
    const float* q = args.q + mine * args.q_stride + head * kDim + Query<kDim>::element(part);
    query.q[part] = {q[0] * args.scale, q[1] * args.scale, q[2] * args.scale, q[3] * args.scale};
  }
  for (std::int64_t first = 0; first < rows; first += kRows) {
    load_tile<T>(args.kv, head / args.heads.group(), ring, first, tile);
    __syncthreads();
#pragma unroll 1
    for (int n = 0; n < kRows; n += kChunk) query.attend(tile, n, visible - first);
    __syncthreads();
  }
  if (!there) return;
  const float share = share_of(query.piece, query.piece);
  float* out = args.out + (mine * args.heads.query_heads + head) * kDim;
#pragma unroll
  for (int part = 0; part < Query<kDim>::kParts; ++part) {
    const float4 s = query.sum[part];
    *reinterpret_cast<float4*>(out + Query<kDim>::element(part)) = {s.x * share, s.y * share, s.z * share,
                                                                    s.w * share};
  }
}

}  // namespace

void prefill_attend(const PrefillAttendArgs& args, std::int64_t query_tokens, cudaStream_t stream) {
  if (args.kv_type == KvType::f16) return prefill_tensor(args, query_tokens, stream);
  const dim3 blocks(static_cast<unsigned>((query_tokens + kQueries - 1) / kQueries),
                    static_cast<unsigned>(args.heads.query_heads));
  by_type(args.kv_type, args.heads, [&]<class T, int kDim>() {
    prefill_attend_kernel<T, kDim><<<blocks, kThreads, 0, stream>>>(args);
  });
  check_launch("prefill_attend");
}

}  // namespace hybridgen::cuda
