// How fast each kernel is in the shapes of Llama-3.1-8B, in turn with the card's own streaming read. Every
// case walks through more memory than a cache holds.
#include <algorithm>

#include "runtime/cuda/bench/card_rig.hpp"
#include "runtime/cuda/bench/cuda_bench.hpp"
#include "runtime/cuda/kernels/attend.cuh"
#include "runtime/cuda/kernels/copy_rows.cuh"
#include "runtime/cuda/kernels/device_logits.cuh"
#include "runtime/cuda/kernels/gather_rows.cuh"
#include "runtime/cuda/kernels/gemm.cuh"
#include "runtime/cuda/kernels/gemv.cuh"
#include "runtime/cuda/kernels/joint_attend.cuh"
#include "runtime/cuda/kernels/prefill_attend.cuh"
#include "runtime/cuda/logic/split.hpp"

namespace hybridgen::cuda {
namespace {

constexpr Bytes kBuffer = 4LL << 30;  // of the card: no cache holds a tenth of it
constexpr int kRounds = 9;
constexpr int kCalls = 16;
constexpr HeadShape kHeads{32, 8, 128};
constexpr int kRowBytes = 256;
constexpr int kHidden = 4096;

class SpeedCases {
 public:
  explicit SpeedCases(CardRig& rig) : rig_(rig) {
    q_ = rig.memory().array<float>(kMostQueries * kHeads.query_heads * kHeads.head_dim);
    out_ = rig.memory().array<float>(kMostQueries * kFfn);
    pieces_ = {rig.memory().array<float>(partial_floats(kHeads.query_heads, kMostSplits, kHeads.head_dim)),
               rig.memory().array<unsigned>(kHeads.query_heads)};
  }

  std::vector<TimedCase> all() {
    for (const std::int64_t context : {8192, 32768, 131072}) {
      attention(context, true);
      attention(context, false);
    }
    joint(131072, 6554);
    joint(8192, 1638);
    joint(1024, 1638);
    products();
    rows();
    prefill(4096);
    return std::move(cases_);
  }

 private:
  static constexpr std::int64_t kMostQueries = 4096;
  static constexpr std::int64_t kFfn = 14336;
  static constexpr int kMostSplits = 2048;

  void add(const char* kernel, const std::string& condition, double work, bool is_flops, int calls,
           std::function<void(int)> launch) {
    cases_.push_back({kernel, condition, work, is_flops,
                      [this, calls, launch = std::move(launch)] { return rig_.seconds_of(calls, launch); }});
  }
  OpParams* params(std::int64_t context, std::int64_t tokens, std::int64_t queries = 1) {
    return rig_.upload<OpParams>({{context, context - queries, queries, 0, tokens}});
  }
  // The part of the buffer that call number `call` walks through; `bytes` of it.
  std::byte* part(int call, Bytes bytes) const {
    return rig_.buffer() + call % std::max<Bytes>(rig_.buffer_bytes() / bytes, 1) * bytes;
  }
  KvStore store(int call, std::int64_t slots) const {
    const Bytes half = kHeads.kv_heads * slots * kRowBytes;
    std::byte* base = part(call, 2 * half);
    return {base, base + half, slots};
  }
  // As device_state.cpp takes them.
  int blocks() const { return kTensorBlocks * rig_.multiprocessors(); }

  // A call is a request of its own: batch x context fills the card.
  void attention(std::int64_t context, bool whole) {
    const OpParams* op = params(context, context);
    const int parts = split_count(context, kRowGrain, kHeads.kv_heads, blocks());
    const double half = static_cast<double>(kHeads.kv_heads * context * kRowBytes);
    const std::string condition = std::to_string(context) + " tokens, 32 query and 8 KV heads of 128, f16";
    if (whole) {
      add("attend_tensor", condition, 2 * half, false, kCalls, [=, this](int call) {
        attend({op, store(call, context), kHeads, KvType::f16, q_, 0.1F, pieces_, parts, out_},
               rig_.stream());
      });
      return;
    }
    auto* scores = rig_.memory().array<float>(kHeads.query_heads * context);
    add("logits_tensor", condition, half, false, kCalls, [=, this](int call) {
      device_logits({op, store(call, context), kHeads, KvType::f16, q_, 0.1F, parts, scores, context},
                    rig_.stream());
    });
  }

  void joint(std::int64_t context, std::int64_t rows_per_head) {
    const OpParams* op = params(context, context);
    const JointSplits parts =
        joint_split_counts(context, kHeads.kv_heads, rows_per_head, kHeads.query_heads, blocks());
    std::vector<std::int32_t> offsets;
    for (int h = 0; h <= kHeads.query_heads; ++h)
      offsets.push_back(static_cast<std::int32_t>(h * rows_per_head));
    const std::int32_t* offsets_on_card = rig_.upload(offsets);
    auto* scores = rig_.memory().array<float>(kHeads.query_heads * context);
    auto* chosen = rig_.memory().array<float>(offsets.back());
    const Bytes packed = static_cast<Bytes>(offsets.back()) * kRowBytes;
    const Bytes v = kHeads.kv_heads * context * kRowBytes;
    const double bytes =
        static_cast<double>(v + packed + 4 * (kHeads.query_heads * context + offsets.back()));
    add("joint_tensor",
        std::to_string(context) + " tokens on the card and " + std::to_string(rows_per_head) +
            " packed rows per head",
        bytes, false, kCalls, [=, this](int call) {
          std::byte* base = part(call, v + packed);
          joint_attend({op,
                        {nullptr, base, context},
                        kHeads,
                        KvType::f16,
                        scores,
                        context,
                        {offsets_on_card},
                        chosen,
                        base + v,
                        pieces_,
                        parts.all(),
                        parts.packed,
                        out_},
                       rig_.stream());
        });
  }

  void products() {
    struct Matrix {
      const char* name;
      int rows, cols;
    };
    for (const Matrix& m : {Matrix{"qkv", 6144, kHidden}, Matrix{"attention_out", kHidden, kHidden},
                            Matrix{"gate_up", 28672, kHidden}, Matrix{"down", kHidden, 14336},
                            Matrix{"lm_head", 128256, kHidden}}) {
      const Bytes bytes = 2LL * m.rows * m.cols;
      const auto args = [=, this](int call) {
        return MatrixArgs{reinterpret_cast<const Half*>(part(call, bytes)),
                          m.rows,
                          m.cols,
                          q_,
                          m.cols,
                          out_,
                          m.rows,
                          nullptr};
      };
      const std::string shape =
          std::string(m.name) + " " + std::to_string(m.rows) + "x" + std::to_string(m.cols);
      add("gemv", shape + ", batch 1", static_cast<double>(bytes), false, kCalls,
          [=, this](int call) { gemv(args(call), {}, 1, rig_.stream()); });
    }
    constexpr std::int64_t kTokens = 1024;
    constexpr int kRows = 6144;
    add("gemm", "qkv 6144x4096, 1024 tokens", 2.0 * kRows * kHidden * kTokens, true, 2, [=, this](int) {
      gemm({reinterpret_cast<const Half*>(rig_.buffer()), kRows, kHidden, q_, kHidden, out_, kRows, nullptr},
           kTokens, rig_.stream());
    });
  }

  // Packing: rows are read and written.
  void rows() {
    constexpr std::int64_t kTokens = 16384;
    const OpParams* op = params(kTokens, kTokens);
    const Bytes whole = 2 * kHeads.kv_heads * kTokens * kRowBytes;
    add("copy_rows", "16384 tokens within the card", 2.0 * static_cast<double>(whole), false, kCalls,
        [=, this](int call) {
          copy_rows({op, store(2 * call, kTokens), store(2 * call + 1, kTokens), kHeads.kv_heads, kRowBytes},
                    4 * rig_.multiprocessors(), rig_.stream());
        });
    constexpr std::int64_t kSlots = 131072;
    constexpr std::int64_t kPerHead = 6554;
    std::vector<std::int32_t> offsets;
    std::vector<std::int32_t> slot_of;
    for (int h = 0; h < kHeads.query_heads; ++h) {
      offsets.push_back(static_cast<std::int32_t>(slot_of.size()));
      for (std::int64_t j = 0; j < kPerHead; ++j)
        slot_of.push_back(static_cast<std::int32_t>((j * 7919 + h * 104729) % kSlots));
    }
    offsets.push_back(static_cast<std::int32_t>(slot_of.size()));
    const std::int32_t* offsets_on_card = rig_.upload(offsets);
    const std::int32_t* slots_on_card = rig_.upload(slot_of);
    auto* packed = rig_.memory().allocate(static_cast<Bytes>(slot_of.size()) * kRowBytes);
    add("gather_rows", "5 % of 131072 rows of 256 bytes on the card",
        2.0 * static_cast<double>(slot_of.size()) * kRowBytes, false, kCalls, [=, this](int call) {
          gather_rows({store(call, kSlots).v, kSlots, slots_on_card, offsets_on_card, kHeads.query_heads,
                       kHeads.group(), kRowBytes, packed},
                      16, rig_.stream());
        });
  }

  void prefill(std::int64_t tokens) {
    const OpParams* op = params(tokens, tokens, tokens);
    const double flops =
        2.0 * static_cast<double>(tokens * tokens) * kHeads.query_heads * kHeads.head_dim;  // half is masked
    add("prefill_tensor", std::to_string(tokens) + " tokens from the first on", flops, true, 1,
        [=, this](int) {
          prefill_attend({op, store(0, tokens), kHeads, KvType::f16, q_,
                          static_cast<std::int64_t>(kHeads.query_heads) * kHeads.head_dim, 0.1F, out_},
                         tokens, rig_.stream());
        });
  }

  CardRig& rig_;
  float* q_ = nullptr;
  float* out_ = nullptr;
  PartialSpace pieces_;
  std::vector<TimedCase> cases_;
};

}  // namespace

std::vector<Measurement> measure_kernel_speed() {
  CardRig rig(kBuffer);
  SpeedCases cases(rig);
  return time_in_turn(rig.streaming_read(), cases.all(), kRounds);
}

}  // namespace hybridgen::cuda
