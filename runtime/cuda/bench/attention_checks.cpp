// Checks of the attention kernels: rings that wrap, heads without rows, no rows at all.
#include "runtime/cuda/bench/attention_case.hpp"
#include "runtime/cuda/kernels/attend.cuh"
#include "runtime/cuda/kernels/device_logits.cuh"
#include "runtime/cuda/kernels/join_partials.cuh"
#include "runtime/cuda/kernels/joint_attend.cuh"
#include "runtime/cuda/kernels/prefill_attend.cuh"

namespace hybridgen::cuda {
namespace {

using Row = AttentionCase::Row;

// fp32 sums of some thousand terms of order 1.
constexpr double kFp32Bound = 1e-5;

void compare_with_host(const AttentionCase& c, const float* q, const float* out, Worst& worst) {
  const int group = c.heads.group();
  std::vector<float> scratch(
      static_cast<std::size_t>(kernels::attend_scratch(group, std::max<std::int64_t>(c.op[0].tokens, 1))));
  std::vector<float> expected(static_cast<std::size_t>(group * c.dim()));
  for (int kv_head = 0; kv_head < AttentionCase::kKvHeads; ++kv_head) {
    const auto spans = c.spans(kv_head);
    const std::int64_t first = static_cast<std::int64_t>(kv_head) * group * c.dim();
    kernels::attend(c.type, q + first, group, c.dim(), spans.data(), 2, c.scale(), scratch.data(),
                    expected.data(), nullptr);
    for (std::size_t i = 0; i < expected.size(); ++i)
      worst.add(out[first + static_cast<std::int64_t>(i)], expected[i]);
  }
}

CheckError check_attend(const CheckShape& shape) {
  AttentionCase c(shape);
  const Array<float> q = c.data.floats(c.heads.query_heads * c.dim());
  const Array<float> out(c.heads.query_heads * c.dim());
  const AttendArgs args{c.op.get(), c.store(), c.heads,  c.type,   q.get(),
                        c.scale(),  c.space(), c.splits, out.get()};
  Worst fp64;
  Worst host;
  // Again and again: the counters of arrived blocks must be ready for the next launch, also at another
  // length.
  for (const std::int64_t tokens : {c.op[0].tokens, (c.op[0].tokens + 1) / 2, std::int64_t{0}}) {
    c.op[0].tokens = tokens;
    attend(args, nullptr);
    finish();
    for (int head = 0; head < c.heads.query_heads; ++head) {
      std::vector<Row> rows;
      for (std::int64_t i = 0; i < tokens; ++i)
        rows.push_back({c.logit(q.get() + head * c.dim(), head, i), &c.v, c.row(head, i)});
      c.compare(out.get() + head * c.dim(), rows, fp64);
    }
    compare_with_host(c, q.get(), out.get(), host);
  }
  return {fp64.value(), host.value()};
}

CheckError check_device_logits(const CheckShape& shape) {
  AttentionCase c(shape);
  const Array<float> q = c.data.floats(c.heads.query_heads * c.dim());
  const std::int64_t stride = c.slots + 3;
  const Array<float> scores(c.heads.query_heads * stride);
  device_logits({c.op.get(), c.store(), c.heads, c.type, q.get(), c.scale(), c.splits, scores.get(), stride},
                nullptr);
  finish();
  Worst fp64;
  Worst host;
  std::vector<float> expected(static_cast<std::size_t>(stride));
  for (int head = 0; head < c.heads.query_heads; ++head) {
    std::int64_t done = 0;
    for (const kernels::KvSpan& span : c.spans(head / c.heads.group())) {
      kernels::logits(c.type, q.get() + head * c.dim(), 1, c.dim(), span.k, span.count, c.scale(),
                      expected.data() + done, stride);
      done += span.count;
    }
    for (std::int64_t i = 0; i < stride; ++i) {
      const bool there = i < c.op[0].tokens;
      const float got = scores[head * stride + i];
      fp64.add(got, there ? c.logit(q.get() + head * c.dim(), head, i) : 0);  // nothing behind the last
      if (!there) continue;
      host.add(got, expected[static_cast<std::size_t>(i)],
               kernels::tile_unit_error(c.type, c.sizes(q.get() + head * c.dim(), head, i)));
    }
  }
  return {fp64.value(), host.value()};
}

CheckError check_joint_attend(const CheckShape& shape) {
  AttentionCase c(shape);
  const int most = static_cast<int>(std::max<std::int64_t>(shape.most_tokens / 4, 8));
  const Array<std::int32_t> offsets(c.heads.query_heads + 1);
  for (int h = 0; h < c.heads.query_heads; ++h)
    offsets[h + 1] = offsets[h] + (h % 3 == 1 ? 0 : c.data.between(0, most));
  const std::int32_t total = offsets[c.heads.query_heads];
  const Rows packed = c.data.rows(c.type, (total + 1) * c.dim());
  const Array<float> host_scores = c.data.floats(total + 1);
  const Array<float> scores = c.data.floats(c.heads.query_heads * c.slots);
  const Array<float> out(c.heads.query_heads * c.dim());
  const JointAttendArgs args{c.op.get(),   c.store(),        c.heads,           c.type,       scores.get(),
                             c.slots,      {offsets.get()},  host_scores.get(), packed.get(), c.space(),
                             c.splits + 1, c.splits / 3 + 1, out.get()};
  Worst fp64;
  for (const std::int64_t tokens : {c.op[0].tokens, std::int64_t{0}}) {
    c.op[0].tokens = tokens;
    joint_attend(args, nullptr);
    finish();
    for (int head = 0; head < c.heads.query_heads; ++head) {
      std::vector<Row> rows;
      for (std::int64_t i = 0; i < tokens; ++i)
        rows.push_back({scores[head * c.slots + i], &c.v, c.row(head, i)});
      for (std::int32_t j = offsets[head]; j < offsets[head + 1]; ++j)
        rows.push_back({host_scores[j], &packed, static_cast<std::int64_t>(j) * c.dim()});
      c.compare(out.get() + head * c.dim(), rows, fp64);
    }
  }
  return {fp64.value(), std::nullopt};
}

// Two rings' attention and their log-sum-exps, joined: the second one's heads without rows count nothing.
CheckError check_join_partials(const CheckShape& shape) {
  AttentionCase c(shape);
  const std::int64_t width = c.heads.query_heads * c.dim();
  const Array<float> q = c.data.floats(width);
  const Array<float> out(width), lse(c.heads.query_heads);
  const Array<float> other_out = c.data.floats(width);
  const Array<float> other_lse = c.data.floats(c.heads.query_heads, 4);
  other_lse[0] = -HUGE_VALF;
  attend(
      {c.op.get(), c.store(), c.heads, c.type, q.get(), c.scale(), c.space(), c.splits, out.get(), lse.get()},
      nullptr);
  finish();
  std::vector<float> expected(out.get(), out.get() + width),
      expected_lse(lse.get(), lse.get() + c.heads.query_heads);
  Worst fp64;
  for (int head = 0; head < c.heads.query_heads; ++head) {
    double sum = 0;
    for (std::int64_t i = 0; i < c.op[0].tokens; ++i) {
      sum += std::exp(c.logit(q.get() + head * c.dim(), head, i));
    }
    fp64.add(lse[head], std::log(sum));
  }
  join_partials({c.heads, out.get(), lse.get(), other_out.get(), other_lse.get()}, nullptr);
  finish();
  for (std::int64_t i = 0; i < width; ++i) {
    const double mine = lse[i / c.dim()], others = other_lse[i / c.dim()];
    const double share = 1 / (1 + std::exp(others - mine));
    fp64.add(out[i], share * expected[static_cast<std::size_t>(i)] + (1 - share) * other_out[i]);
  }
  kernels::merge_partials(c.heads.query_heads, c.dim(), expected.data(), expected_lse.data(), other_out.get(),
                          other_lse.get());
  Worst host;
  for (std::int64_t i = 0; i < width; ++i) host.add(out[i], expected[static_cast<std::size_t>(i)]);
  return {fp64.value(), host.value()};
}

CheckError check_prefill(const CheckShape& shape) {
  AttentionCase c(shape);
  OpParams& op = c.op[0];
  op.query_tokens = std::min<std::int64_t>(op.tokens, 90);
  op.first_position = op.context - op.query_tokens;
  const std::int64_t stride = c.heads.query_heads * c.dim() + 8;
  const Array<float> q = c.data.floats(op.query_tokens * stride);
  const Array<float> out(op.query_tokens * c.heads.query_heads * c.dim());
  prefill_attend({c.op.get(), c.store(), c.heads, c.type, q.get(), stride, c.scale(), out.get()},
                 op.query_tokens, nullptr);
  finish();
  Worst fp64;
  for (std::int64_t query = 0; query < op.query_tokens; query += 7) {
    for (int head = 0; head < c.heads.query_heads; ++head) {
      std::vector<Row> rows;
      for (std::int64_t i = 0; i < op.tokens - op.query_tokens + query + 1; ++i)
        rows.push_back({c.logit(q.get() + query * stride + head * c.dim(), head, i), &c.v, c.row(head, i)});
      c.compare(out.get() + (query * c.heads.query_heads + head) * c.dim(), rows, fp64);
    }
  }
  return {fp64.value(), std::nullopt};
}

}  // namespace

std::vector<KernelCheck> attention_checks() {
  return {
      {"attend", "newest rows of a ring", kFp32Bound, true, check_attend, std::nullopt, KvType::f16},
      {"attend_tensor", "newest rows of a ring", kFp32Bound, true, check_attend, KvType::f16},
      {"device_logits", "newest rows of a ring", kFp32Bound, true, check_device_logits, std::nullopt,
       KvType::f16},
      {"logits_tensor", "newest rows of a ring", kFp32Bound, true, check_device_logits, KvType::f16},
      {"joint_attend", "device and packed rows", kFp32Bound, true, check_joint_attend, std::nullopt,
       KvType::f16},
      {"joint_tensor", "device and packed rows", kFp32Bound, true, check_joint_attend, KvType::f16},
      {"join_partials", "a ring's and another's", kFp32Bound, true, check_join_partials},
      {"prefill_attend", "a chunk of queries", kFp32Bound, true, check_prefill, std::nullopt, KvType::f16},
      {"prefill_tensor", "a chunk of queries", kFp32Bound, true, check_prefill, KvType::f16},
  };
}

}  // namespace hybridgen::cuda
