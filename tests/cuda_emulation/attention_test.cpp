// The attention kernels and the movers of KV rows, emulated on the CPU, against fp64: G of 1, 3, 4, 5, 7, 8,
// head dim 64 and 128, fp16 and fp32 KV, rings that wrap, heads without rows.
#include <gtest/gtest.h>

#include <optional>
#include <sstream>
#include <vector>

#include "runtime/cuda/kernels/attend.cuh"
#include "runtime/cuda/kernels/copy_rows.cuh"
#include "runtime/cuda/kernels/device_logits.cuh"
#include "runtime/cuda/kernels/exchange.cuh"
#include "runtime/cuda/kernels/gather_rows.cuh"
#include "runtime/cuda/kernels/joint_attend.cuh"
#include "runtime/cuda/kernels/prefill_attend.cuh"
#include "tests/cuda_emulation/data.hpp"

namespace hybridgen::cuda {
namespace {

constexpr double kBound = 5e-6;  // fp32 sums of a few hundred terms of order 1

struct Shape {
  int group;
  int head_dim;
  KvType type;
};

// One request's ring on the device and a query, all random.
class CudaAttention : public testing::TestWithParam<Shape> {
 protected:
  void SetUp() override {
    heads_ = {GetParam().group * 2, 2, GetParam().head_dim};
    slots_ = data_.between(1, 400);
    op_.context = data_.between(1, 2 * slots_);
    op_.tokens = std::min(data_.between(1, slots_), static_cast<int>(op_.context));
    k_.emplace(data_.rows(GetParam().type, 2L * slots_ * dim()));
    v_.emplace(data_.rows(GetParam().type, 2L * slots_ * dim()));
    splits_ = data_.between(1, 9);
  }

  int dim() const { return heads_.head_dim; }
  float scale() const { return 1.0F / std::sqrt(static_cast<float>(dim())); }
  int row_bytes() const { return dim() * static_cast<int>(kernels::bytes_of(GetParam().type)); }
  KvStore store() const { return {k_->get(), v_->get(), slots_}; }
  // First element of row i of the newest op_.tokens, as query head `head` sees it.
  std::int64_t row(int head, std::int64_t i) const {
    return (head / heads_.group() * slots_ + (op_.context - op_.tokens + i) % slots_) * dim();
  }
  double logit(const float* q, int head, std::int64_t i) const {
    double sum = 0;
    for (int d = 0; d < dim(); ++d) sum += static_cast<double>(q[d]) * k_->at(row(head, i) + d);
    return sum * scale();
  }
  PartialSpace space() {
    pieces_.emplace(partial_floats(heads_.query_heads, splits_, dim()));
    arrived_.emplace(heads_.query_heads);
    return {pieces_->get(), arrived_->get()};
  }

  // Softmax over logits that are given, summed over rows that start at `at` of `values`.
  struct Row {
    double logit;
    const Rows* values;
    std::int64_t at;
  };
  void compare(const float* out, const std::vector<Row>& rows, Worst& worst) const {
    double max = -HUGE_VAL;
    for (const Row& r : rows) max = std::max(max, r.logit);
    for (int d = 0; d < dim(); ++d) {
      double sum = 0;
      double weights = 0;
      for (const Row& r : rows) {
        weights += std::exp(r.logit - max);
        sum += std::exp(r.logit - max) * r.values->at(r.at + d);
      }
      worst.add(out[d], rows.empty() ? 0 : sum / weights);
    }
  }

  Data data_{static_cast<unsigned>(GetParam().group * 1000 + GetParam().head_dim +
                                   static_cast<int>(GetParam().type))};
  HeadShape heads_;
  std::int64_t slots_ = 0;
  OpParams op_;
  std::optional<Rows> k_, v_;
  int splits_ = 1;
  std::optional<Array<float>> pieces_;
  std::optional<Array<unsigned>> arrived_;
};

TEST_P(CudaAttention, Attend_newestRowsOfARing_equalsFp64) {
  const Array<float> q = data_.floats(heads_.query_heads * dim());
  const Array<float> out(heads_.query_heads * dim());
  const AttendArgs args{&op_,    store(), heads_,  GetParam().type, q.get(),
                        scale(), space(), splits_, out.get()};
  Worst worst;
  // Twice: the counters of arrived blocks must be ready for the next launch, also at another length.
  for (const std::int64_t tokens : {op_.tokens, (op_.tokens + 1) / 2, std::int64_t{0}}) {
    op_.tokens = tokens;
    attend(args, nullptr);
    for (int head = 0; head < heads_.query_heads; ++head) {
      std::vector<Row> rows;
      for (std::int64_t i = 0; i < tokens; ++i) {
        rows.push_back({logit(q.get() + head * dim(), head, i), &*v_, row(head, i)});
      }
      compare(out.get() + head * dim(), rows, worst);
    }
  }
  EXPECT_LT(worst.value(), kBound);
}

TEST_P(CudaAttention, DeviceLogits_newestRowsOfARing_equalFp64) {
  const Array<float> q = data_.floats(heads_.query_heads * dim());
  const std::int64_t stride = slots_ + 3;
  const Array<float> scores(heads_.query_heads * stride);
  device_logits({&op_, store(), heads_, GetParam().type, q.get(), scale(), splits_, scores.get(), stride},
                nullptr);
  Worst worst;
  for (int head = 0; head < heads_.query_heads; ++head) {
    for (std::int64_t i = 0; i < stride; ++i) {
      worst.add(scores[head * stride + i], i < op_.tokens ? logit(q.get() + head * dim(), head, i) : 0);
    }
  }
  EXPECT_LT(worst.value(), kBound);
}

TEST_P(CudaAttention, JointAttend_deviceAndPackedRows_equalsOneFp64Softmax) {
  Array<std::int32_t> offsets(heads_.query_heads + 1);
  for (int h = 0; h < heads_.query_heads; ++h)
    offsets[h + 1] = offsets[h] + (h % 3 == 1 ? 0 : data_.between(0, 90));
  const std::int32_t total = offsets[heads_.query_heads];
  const Rows packed = data_.rows(GetParam().type, (total + 1) * dim());
  const Array<float> host_scores = data_.floats(total + 1);
  const Array<float> scores = data_.floats(heads_.query_heads * slots_);
  const Array<float> out(heads_.query_heads * dim());
  const JointAttendArgs args{&op_,         store(), heads_,        GetParam().type,
                             scores.get(), slots_,  offsets.get(), host_scores.get(),
                             packed.get(), space(), splits_,       out.get()};
  Worst worst;
  for (const std::int64_t tokens : {op_.tokens, std::int64_t{0}}) {
    op_.tokens = tokens;
    joint_attend(args, nullptr);
    for (int head = 0; head < heads_.query_heads; ++head) {
      std::vector<Row> rows;
      for (std::int64_t i = 0; i < tokens; ++i)
        rows.push_back({scores[head * slots_ + i], &*v_, row(head, i)});
      for (std::int32_t j = offsets[head]; j < offsets[head + 1]; ++j) {
        rows.push_back({host_scores[j], &packed, static_cast<std::int64_t>(j) * dim()});
      }
      compare(out.get() + head * dim(), rows, worst);
    }
  }
  EXPECT_LT(worst.value(), kBound);
}

TEST_P(CudaAttention, PrefillAttend_chunkOfQueries_eachSeesUpToItself) {
  op_.query_tokens = std::min<std::int64_t>(op_.tokens, 40);
  op_.first_position = op_.context - op_.query_tokens;
  const std::int64_t stride = heads_.query_heads * dim() + 8;
  const Array<float> q = data_.floats(op_.query_tokens * stride);
  const Array<float> out(op_.query_tokens * heads_.query_heads * dim());
  prefill_attend({&op_, store(), heads_, GetParam().type, q.get(), stride, scale(), out.get()},
                 op_.query_tokens, nullptr);
  Worst worst;
  for (std::int64_t query = 0; query < op_.query_tokens; query += 7) {
    for (int head = 0; head < heads_.query_heads; ++head) {
      std::vector<Row> rows;
      for (std::int64_t i = 0; i < op_.tokens - op_.query_tokens + query + 1; ++i) {
        rows.push_back({logit(q.get() + query * stride + head * dim(), head, i), &*v_, row(head, i)});
      }
      compare(out.get() + (query * heads_.query_heads + head) * dim(), rows, worst);
    }
  }
  EXPECT_LT(worst.value(), kBound);
}

TEST_P(CudaAttention, CopyRows_ringToLargerRing_bitForBitInTheSlotsOfTheirPositions) {
  const std::int64_t slots = slots_ + data_.between(0, 50);
  const Rows k(GetParam().type, 2 * slots * dim());
  const Rows v(GetParam().type, 2 * slots * dim());
  op_.first_token = op_.context - op_.tokens;
  copy_rows({&op_, store(), {k.get(), v.get(), slots}, heads_.kv_heads, row_bytes()}, 3, nullptr);
  for (int head = 0; head < 2; ++head) {
    for (std::int64_t i = 0; i < op_.tokens * dim(); ++i) {
      const std::int64_t token = op_.first_token + i / dim();
      const std::int64_t from = (head * slots_ + token % slots_) * dim() + i % dim();
      const std::int64_t to = (head * slots + token % slots) * dim() + i % dim();
      ASSERT_EQ(k.at(to), k_->at(from));
      ASSERT_EQ(v.at(to), v_->at(from));
    }
  }
}

TEST_P(CudaAttention, GatherThenScatter_chosenRows_comeBackBitForBit) {
  const std::int64_t per_head = std::min<std::int64_t>(slots_, 20);
  Array<std::int32_t> offsets(heads_.query_heads + 1);
  Array<std::int32_t> slot_of(heads_.query_heads * per_head);
  for (int h = 0; h < heads_.query_heads; ++h) {
    offsets[h + 1] = offsets[h] + static_cast<std::int32_t>(per_head);
    for (std::int64_t j = 0; j < per_head; ++j) {
      slot_of[h * per_head + j] = static_cast<std::int32_t>((j * 7 + h) % slots_);
    }
  }
  const Rows packed(GetParam().type, heads_.query_heads * per_head * dim());
  const Rows back(GetParam().type, 2 * slots_ * dim());
  GatherRowsArgs args{v_->get(),          slots_,         slot_of.get(), offsets.get(),
                      heads_.query_heads, heads_.group(), row_bytes(),   packed.get()};
  gather_rows(args, 2, nullptr);
  args.store = back.get();
  scatter_rows(args, 2, nullptr);
  for (std::int64_t j = 0; j < heads_.query_heads * per_head; ++j) {
    const std::int64_t head = j / per_head / heads_.group();
    for (int d = 0; d < dim(); ++d) {
      const std::int64_t at = (head * slots_ + slot_of[j]) * dim() + d;
      ASSERT_EQ(packed.at(j * dim() + d), v_->at(at));
      ASSERT_EQ(back.at(at), v_->at(at));
    }
  }
}

TEST_P(CudaAttention, Exchange_scoresAndRows_arriveAsTheHostWroteThem) {
  const int heads = heads_.query_heads;
  Array<std::int32_t> offsets(heads + 1);
  for (int h = 0; h < heads; ++h) offsets[h + 1] = offsets[h] + data_.between(0, 60);
  const Array<float> scores = data_.floats(offsets[heads] + 1);
  const Rows rows = data_.rows(GetParam().type, (offsets[heads] + 1) * dim());
  const Array<std::int32_t> offsets_up(heads + 1);
  const Array<float> scores_up(offsets[heads] + 1);
  const Rows rows_up(GetParam().type, (offsets[heads] + 1) * dim());
  send_scores({offsets.get(), scores.get(), heads, offsets_up.get(), scores_up.get()}, 2, nullptr);
  send_rows({offsets.get(), heads, rows.get(), row_bytes(), rows_up.get()}, 2, nullptr);
  for (int h = 0; h <= heads; ++h) ASSERT_EQ(offsets_up[h], offsets[h]);
  for (std::int32_t j = 0; j < offsets[heads]; ++j) {
    ASSERT_EQ(scores_up[j], scores[j]);
    for (int d = 0; d < dim(); ++d) ASSERT_EQ(rows_up.at(j * dim() + d), rows.at(j * dim() + d));
  }
  ASSERT_EQ(scores_up[offsets[heads]], 0.0F);  // nothing behind the last
}

std::vector<Shape> shapes() {
  std::vector<Shape> list;
  for (const int group : {1, 3, 4, 5, 7, 8}) {
    for (const int dim : {64, 128}) {
      for (const KvType type : {KvType::f16, KvType::f32}) list.push_back({group, dim, type});
    }
  }
  return list;
}

INSTANTIATE_TEST_SUITE_P(shapes, CudaAttention, testing::ValuesIn(shapes()), [](const auto& test_info) {
  std::ostringstream name;
  name << "G" << test_info.param.group << "_dim" << test_info.param.head_dim
       << (test_info.param.type == KvType::f16 ? "_f16" : "_f32");
  return name.str();
});

}  // namespace
}  // namespace hybridgen::cuda
