// Checks of the movers of KV rows: bit for bit, in the right slots, and nothing anywhere else.
#include "runtime/cuda/bench/attention_case.hpp"
#include "runtime/cuda/kernels/copy_rows.cuh"
#include "runtime/cuda/kernels/exchange.cuh"
#include "runtime/cuda/kernels/gather_rows.cuh"

namespace hybridgen::cuda {
namespace {

constexpr double kBitForBit = 0;

CheckError check_copy_rows(const CheckShape& shape) {
  AttentionCase c(shape);
  const std::int64_t slots = c.slots + c.data.between(0, 50);
  const Rows k(c.type, AttentionCase::kKvHeads * slots * c.dim());
  const Rows v(c.type, AttentionCase::kKvHeads * slots * c.dim());
  OpParams& op = c.op[0];
  op.first_token = op.context - op.tokens;
  copy_rows({c.op.get(), c.store(), {k.get(), v.get(), slots}, c.heads.kv_heads, c.row_bytes()}, 3, nullptr);
  finish();
  double wrong = 0;
  for (int head = 0; head < AttentionCase::kKvHeads; ++head) {
    std::vector<std::int64_t> source(static_cast<std::size_t>(slots), -1);  // by slot
    for (std::int64_t t = op.first_token; t < op.first_token + op.tokens; ++t)
      source[static_cast<std::size_t>(t % slots)] = head * c.slots + t % c.slots;
    for (std::int64_t i = 0; i < slots * c.dim(); ++i) {
      const std::int64_t from = source[static_cast<std::size_t>(i / c.dim())];
      const std::int64_t to = head * slots * c.dim() + i;
      wrong += k.at(to) != (from < 0 ? 0 : c.k.at(from * c.dim() + i % c.dim()));
      wrong += v.at(to) != (from < 0 ? 0 : c.v.at(from * c.dim() + i % c.dim()));
    }
  }
  return {wrong, std::nullopt};
}

CheckError check_gather_rows(const CheckShape& shape) {
  AttentionCase c(shape);
  const int heads = c.heads.query_heads;
  const Array<std::int32_t> offsets(heads + 1);
  for (int h = 0; h < heads; ++h) offsets[h + 1] = offsets[h] + c.data.between(0, static_cast<int>(c.slots));
  const std::int64_t total = offsets[heads];
  const Array<std::int32_t> slot_of(total);
  for (std::int64_t j = 0; j < total; ++j) slot_of[j] = c.data.between(0, static_cast<int>(c.slots) - 1);
  const Rows packed(c.type, (total + 1) * c.dim());
  gather_rows(
      {c.v.get(), c.slots, slot_of.get(), offsets.get(), heads, c.heads.group(), c.row_bytes(), packed.get()},
      2, nullptr);
  finish();
  double wrong = 0;
  for (int h = 0; h < heads; ++h) {
    for (std::int64_t j = offsets[h]; j < offsets[h + 1]; ++j) {
      const std::int64_t from = (h / c.heads.group() * c.slots + slot_of[j]) * c.dim();
      for (int d = 0; d < c.dim(); ++d) wrong += packed.at(j * c.dim() + d) != c.v.at(from + d);
    }
  }
  for (int d = 0; d < c.dim(); ++d) wrong += packed.at(total * c.dim() + d) != 0;
  return {wrong, std::nullopt};
}

CheckError check_exchange(const CheckShape& shape) {
  AttentionCase c(shape);
  const int heads = c.heads.query_heads;
  const Array<std::int32_t> offsets(heads + 1);
  for (int h = 0; h < heads; ++h) offsets[h + 1] = offsets[h] + c.data.between(0, 60);
  const std::int32_t total = offsets[heads];
  const Array<float> scores = c.data.floats(total + 1);
  const Rows rows = c.data.rows(c.type, (total + 1) * c.dim());
  const Array<float> q = c.data.floats(heads * c.dim());
  const Array<std::int32_t> offsets_up(heads + 1);
  const Array<float> scores_up(total + 1);
  const Rows rows_up(c.type, (total + 1) * c.dim());
  const Array<float> q_down(heads * c.dim() + 1);
  send_query(q.get(), heads * c.dim(), q_down.get(), nullptr);
  send_scores({offsets.get(), scores.get(), heads, offsets_up.get(), scores_up.get()}, 2, nullptr);
  send_rows({offsets.get(), heads, 1, nullptr, rows.get(), c.row_bytes(), rows_up.get()}, 2, nullptr);
  finish();
  double wrong = 0;
  for (int i = 0; i <= heads * c.dim(); ++i) wrong += q_down[i] != (i < heads * c.dim() ? q[i] : 0);
  for (int h = 0; h <= heads; ++h) wrong += offsets_up[h] != offsets[h];
  for (std::int32_t j = 0; j <= total; ++j) {
    wrong += scores_up[j] != (j < total ? scores[j] : 0);
    for (int d = 0; d < c.dim(); ++d)
      wrong += rows_up.at(j * c.dim() + d) != (j < total ? rows.at(j * c.dim() + d) : 0);
  }
  return {wrong, std::nullopt};
}

}  // namespace

std::vector<KernelCheck> row_checks() {
  return {
      {"copy_rows", "a ring into a larger ring", kBitForBit, true, check_copy_rows},
      {"gather_rows", "any slots, repeated ones too", kBitForBit, true, check_gather_rows},
      {"exchange", "query, scores and rows", kBitForBit, true, check_exchange},
  };
}

}  // namespace hybridgen::cuda
