#include "runtime/cuda/kernels/prefill_tensor.cuh"

#include <mma.h>

#include "runtime/cuda/kernels/device.cuh"
#include "runtime/cuda/kernels/heads_dispatch.cuh"
#include "runtime/cuda/logic/online_softmax.hpp"
#include "runtime/cuda/logic/slots.hpp"

namespace hybridgen::cuda {
namespace {

namespace wmma = nvcuda::wmma;

constexpr int kTile = 16;  // of a fragment, each way
constexpr int kWarps = 4;
constexpr int kThreads = kWarps * 32;
constexpr int kQueries = kWarps * kTile;  // of a block
constexpr int kRows = 32;                 // of K and V in shared memory
constexpr int kColumns = kRows / 2;       // of a query's logits, per lane: two lanes share a query

// Rows are 16 bytes longer than needed: they start in other banks.
template <int kDim>
struct Shared {
  struct Warp {
    union {
      float logits[kTile][kRows + 8];
      __half weights[2][kTile][kRows + 8];  // high, low
    };
    float factors[kTile][kTile];  // row i: what query i's sums shrink by, in every column
  };
  __half q[2][kQueries][kDim + 8];  // high, low
  __half k[kRows][kDim + 8];
  __half v[kRows][kDim + 8];
  Warp warps[kWarps];
};

using FragmentA = wmma::fragment<wmma::matrix_a, kTile, kTile, kTile, __half, wmma::row_major>;
using FragmentK = wmma::fragment<wmma::matrix_b, kTile, kTile, kTile, __half, wmma::col_major>;
using FragmentV = wmma::fragment<wmma::matrix_b, kTile, kTile, kTile, __half, wmma::row_major>;
using FragmentSum = wmma::fragment<wmma::accumulator, kTile, kTile, kTile, float>;

// x as high + low, to 2^-22 of x or 2^-25, whichever is more.
__device__ void split_half(float x, __half& high, __half& low) {
  high = __float2half_rn(x);
  low = __float2half_rn(x - __half2float(high));
}

// Zeros where a query is not there.
template <int kDim>
__device__ void load_queries(const PrefillAttendArgs& args, std::int64_t first, std::int64_t queries,
                             int head, Shared<kDim>& shared) {
  for (int i = threadIdx.x; i < kQueries * kDim; i += kThreads) {
    const int n = i / kDim;
    const int d = i % kDim;
    const float x =
        first + n < queries ? args.q[(first + n) * args.q_stride + head * kDim + d] * args.scale : 0.0F;
    split_half(x, shared.q[0][n][d], shared.q[1][n][d]);
  }
}

// Rows [first, first + kRows) of a KV head; zeros behind the last.
template <int kDim>
__device__ void load_rows(const KvStore& kv, int kv_head, const RingRange& ring, std::int64_t first,
                          Shared<kDim>& shared) {
  constexpr int kPerRow = kDim / 8;
  for (int i = threadIdx.x; i < kRows * kPerRow; i += kThreads) {
    const int n = i / kPerRow;
    const int d = i % kPerRow * 8;
    uint4 k = {0, 0, 0, 0};
    uint4 v = {0, 0, 0, 0};
    if (first + n < ring.count) {
      const std::int64_t at = (kv_head * kv.slots + ring.slot(first + n)) * kDim + d;
      k = *reinterpret_cast<const uint4*>(reinterpret_cast<const __half*>(kv.k) + at);
      v = *reinterpret_cast<const uint4*>(reinterpret_cast<const __half*>(kv.v) + at);
    }
    *reinterpret_cast<uint4*>(&shared.k[n][d]) = k;
    *reinterpret_cast<uint4*>(&shared.v[n][d]) = v;
  }
}

// A warp's sixteen queries.
template <int kDim>
struct WarpState {
  static constexpr int kParts = kDim / kTile;
  FragmentSum sum[kParts];
  SoftmaxPiece piece;  // of the lane's query; the sum is over the lane's columns alone

  __device__ void logits(const Shared<kDim>& shared, int warp, typename Shared<kDim>::Warp& mine) {
    FragmentSum s[kRows / kTile];
    for (int n = 0; n < kRows / kTile; ++n) wmma::fill_fragment(s[n], 0.0F);
#pragma unroll
    for (int part = 0; part < kParts; ++part) {
      FragmentA high;
      FragmentA low;
      wmma::load_matrix_sync(high, &shared.q[0][warp * kTile][part * kTile], kDim + 8);
      wmma::load_matrix_sync(low, &shared.q[1][warp * kTile][part * kTile], kDim + 8);
#pragma unroll
      for (int n = 0; n < kRows / kTile; ++n) {
        FragmentK k;
        wmma::load_matrix_sync(k, &shared.k[n * kTile][part * kTile], kDim + 8);
        wmma::mma_sync(s[n], low, k, s[n]);
        wmma::mma_sync(s[n], high, k, s[n]);
      }
    }
    for (int n = 0; n < kRows / kTile; ++n)
      wmma::store_matrix_sync(&mine.logits[0][n * kTile], s[n], kRows + 8, wmma::mem_row_major);
    __syncwarp();
  }

  // Logits become weights where they lie; the query sees the tile's rows before `visible`.
  __device__ void weigh(typename Shared<kDim>::Warp& mine, std::int64_t visible) {
    const int row = static_cast<int>(threadIdx.x) % 32 / 2;
    const int first = static_cast<int>(threadIdx.x) % 2 * kColumns;
    float x[kColumns];
    float most = kNoLogit;
#pragma unroll
    for (int i = 0; i < kColumns; ++i) {
      x[i] = first + i < visible ? mine.logits[row][first + i] : kNoLogit;
      most = fmaxf(most, x[i]);
    }
    most = fmaxf(most, __shfl_xor_sync(kAllLanes, most, 1));  // the query's other lane
    const float factor = raise_max(piece, most);
    __syncwarp();  // every lane has its logits: weights may take their place
#pragma unroll
    for (int i = 0; i < kColumns; ++i)
      split_half(add_row(piece, x[i]), mine.weights[0][row][first + i], mine.weights[1][row][first + i]);
    for (int i = 0; i < kTile / 2; ++i)
      mine.factors[row][static_cast<int>(threadIdx.x) % 2 * (kTile / 2) + i] = factor;
    __syncwarp();
  }

  // Which lane holds which element of a fragment is not known; that two fragments of one kind agree is.
  __device__ void add_values(const Shared<kDim>& shared, const typename Shared<kDim>::Warp& mine) {
    FragmentSum factor;
    wmma::load_matrix_sync(factor, &mine.factors[0][0], kTile, wmma::mem_row_major);
#pragma unroll
    for (int part = 0; part < kParts; ++part) {
#pragma unroll
      for (int e = 0; e < factor.num_elements; ++e) sum[part].x[e] *= factor.x[e];
    }
#pragma unroll
    for (int n = 0; n < kRows / kTile; ++n) {
      FragmentA high;
      FragmentA low;
      wmma::load_matrix_sync(high, &mine.weights[0][0][n * kTile], kRows + 8);
      wmma::load_matrix_sync(low, &mine.weights[1][0][n * kTile], kRows + 8);
#pragma unroll
      for (int part = 0; part < kParts; ++part) {
        FragmentV v;
        wmma::load_matrix_sync(v, &shared.v[n * kTile][part * kTile], kDim + 8);
        wmma::mma_sync(sum[part], low, v, sum[part]);
        wmma::mma_sync(sum[part], high, v, sum[part]);
      }
    }
    __syncwarp();  // the weights' place is free again
  }

  // out: of the lane's query, null where it is not there.
  __device__ void write(typename Shared<kDim>::Warp& mine, float* out) {
    const int row = static_cast<int>(threadIdx.x) % 32 / 2;
    const int first = static_cast<int>(threadIdx.x) % 2 * (kTile / 2);
    SoftmaxPiece whole = piece;
    whole.sum += __shfl_xor_sync(kAllLanes, piece.sum, 1);
    const float share = share_of(whole, whole);
    for (int part = 0; part < kParts; ++part) {
      wmma::store_matrix_sync(&mine.logits[0][0], sum[part], kRows + 8, wmma::mem_row_major);
      __syncwarp();
      for (int i = 0; i < kTile / 2 && out != nullptr; ++i)
        out[part * kTile + first + i] = mine.logits[row][first + i] * share;
      __syncwarp();
    }
  }
};

// A block per kQueries query tokens and query head.
template <int kDim>
__global__ void __launch_bounds__(kThreads) prefill_tensor_kernel(PrefillAttendArgs args) {
  extern __shared__ __align__(128) unsigned char shared_bytes[];
  auto& shared = *reinterpret_cast<Shared<kDim>*>(shared_bytes);
  const OpParams op = *args.op;
  const int head = blockIdx.y;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const RingRange ring = newest_tokens(op.context, op.tokens, args.kv.slots, args.kv.sinks);
  const std::int64_t first_row = op.context - op.tokens;  // position of row 0
  const std::int64_t first_query = static_cast<std::int64_t>(blockIdx.x) * kQueries;
  const std::int64_t mine = first_query + threadIdx.x / 2;
  const bool there = mine < op.query_tokens;
  const std::int64_t visible = there ? causal_rows(first_row, op.tokens, op.first_position + mine) : 0;
  const std::int64_t last = min(first_query + kQueries, op.query_tokens) - 1;
  const std::int64_t rows =
      causal_rows(first_row, op.tokens, op.first_position + last);  // of the whole block
  load_queries<kDim>(args, first_query, op.query_tokens, head, shared);
  WarpState<kDim> state;
  for (int part = 0; part < WarpState<kDim>::kParts; ++part) wmma::fill_fragment(state.sum[part], 0.0F);
  for (std::int64_t first = 0; first < rows; first += kRows) {
    load_rows<kDim>(args.kv, head / args.heads.group(), ring, first, shared);
    __syncthreads();
    state.logits(shared, warp, shared.warps[warp]);
    state.weigh(shared.warps[warp], visible - first);
    state.add_values(shared, shared.warps[warp]);
    __syncthreads();
  }
  float* out = there ? args.out + (mine * args.heads.query_heads + head) * kDim : nullptr;
  state.write(shared.warps[warp], out);
}

template <int kDim>
void launch(const PrefillAttendArgs& args, std::int64_t query_tokens, cudaStream_t stream) {
  // More than a block gets unless it is asked for.
  check(cudaFuncSetAttribute(reinterpret_cast<const void*>(prefill_tensor_kernel<kDim>),
                             cudaFuncAttributeMaxDynamicSharedMemorySize, sizeof(Shared<kDim>)),
        "cudaFuncSetAttribute");
  const dim3 blocks(static_cast<unsigned>((query_tokens + kQueries - 1) / kQueries),
                    static_cast<unsigned>(args.heads.query_heads));
  prefill_tensor_kernel<kDim><<<blocks, kThreads, sizeof(Shared<kDim>), stream>>>(args);
}

}  // namespace

void prefill_tensor(const PrefillAttendArgs& args, std::int64_t query_tokens, cudaStream_t stream) {
  if (args.heads.head_dim == 64) {
    launch<64>(args, query_tokens, stream);
  } else if (args.heads.head_dim == 128) {
    launch<128>(args, query_tokens, stream);
  } else {
    refuse_heads(args.heads);
  }
  check_launch("prefill_tensor");
}

}  // namespace hybridgen::cuda
