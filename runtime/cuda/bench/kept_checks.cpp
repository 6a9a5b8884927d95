// Checks of the kernels of kept rows: the same rows as the host's rules keep and let go, and their masses.
#include "runtime/cuda/bench/attention_case.hpp"
#include "runtime/cuda/kernels/evict_row.cuh"
#include "runtime/cuda/kernels/keep_rows.cuh"
#include "runtime/cuda/kernels/kept_rows.cuh"
#include "runtime/cuda/kernels/prompt_mass.cuh"
#include "runtime/host/keep_rules.hpp"
#include "runtime/kernels/prompt_mass.hpp"

namespace hybridgen::cuda {
namespace {

constexpr double kExact = 0;
constexpr double kFp32Bound = 1e-5;
constexpr double kMassBound = 1e-4;  // of up to some thousand weights, each of an fp32 exponential

// A rule with parameters that fit a prompt, by the seed.
struct RuleCase {
  RuleCase(Data& data, unsigned seed, std::int64_t count) {
    constexpr SelectRule kRules[] = {SelectRule::sink_window, SelectRule::heavy_hitter,
                                     SelectRule::observation_window};
    rule = kRules[seed % 3];
    keep.sinks = data.between(0, 4);
    keep.recent = count / 2;
    keep.window = std::max<Tokens>(1, count / 3);
    keep.kernel = 2 * data.between(0, 3) + 1;
    keep.pooling = seed % 2 == 0 ? Pooling::max : Pooling::mean;
    keep.generated = static_cast<Generated>(data.between(0, 2));
  }
  SelectRule rule;
  KeepRule keep;
};

// Masses with ties, as sums of a few weights have.
Array<float> masses(Data& data, std::int64_t count) {
  Array<float> list(count);
  for (std::int64_t i = 0; i < count; ++i) list[i] = static_cast<float>(data.between(0, 40)) / 8;
  return list;
}

CheckError check_keep_rows(const CheckShape& shape) {
  AttentionCase c(shape);
  const std::int64_t prompt = c.slots;  // the case's store is the staging buffer
  const std::int64_t count = c.data.between(1, static_cast<int>(prompt));
  const RuleCase with(c.data, shape.seed, count);
  c.op[0].tokens = prompt;
  c.op[0].rows_per_head = count;
  const std::int64_t slots = count + 3;
  const Array<float> mass = masses(c.data, AttentionCase::kKvHeads * prompt);
  const Array<float> pooled(AttentionCase::kKvHeads * prompt);
  const Array<std::int32_t> positions(AttentionCase::kKvHeads * slots);
  const Array<float> kept_mass(AttentionCase::kKvHeads * slots);
  const Rows k(c.type, AttentionCase::kKvHeads * slots * c.dim());
  const Rows v(c.type, AttentionCase::kKvHeads * slots * c.dim());
  keep_rows({c.op.get(),
             with.rule,
             with.keep,
             mass.get(),
             prompt,
             pooled.get(),
             {positions.get(), kept_mass.get(), nullptr, slots},
             c.store(),
             {k.get(), v.get(), slots},
             AttentionCase::kKvHeads,
             c.row_bytes()},
            3, nullptr);
  finish();
  double wrong = 0;
  for (int head = 0; head < AttentionCase::kKvHeads; ++head) {
    const std::span<const float> of_head(mass.get() + head * prompt, static_cast<std::size_t>(prompt));
    std::int64_t slot = head * slots;
    for (const KeptToken& token : rows_to_keep(with.rule, with.keep, of_head, prompt, count)) {
      wrong += positions[slot] != token.position;
      // A mean's sum may be rounded otherwise.
      wrong += std::abs(kept_mass[slot] - token.mass) > 1e-5F;
      for (int d = 0; d < c.dim(); ++d) {
        const std::int64_t from = (head * prompt + token.position) * c.dim() + d;
        wrong += k.at(slot * c.dim() + d) != c.k.at(from);
        wrong += v.at(slot * c.dim() + d) != c.v.at(from);
      }
      ++slot;
    }
  }
  return {wrong, std::nullopt};
}

CheckError check_evict_row(const CheckShape& shape) {
  AttentionCase c(shape);
  const std::int64_t rows = c.slots;
  const RuleCase with(c.data, shape.seed, rows);
  OpParams& op = c.op[0];
  op.tokens = rows;
  op.first_position = 2 * rows;
  op.evict = with.keep.recent > 0 && with.keep.sinks < rows && shape.seed % 4 != 0 ? 1 : 0;
  const Array<std::int32_t> positions(AttentionCase::kKvHeads * rows);
  const Array<float> mass = masses(c.data, AttentionCase::kKvHeads * rows);
  if (with.rule == SelectRule::observation_window) {  // every third was generated
    for (std::int64_t i = 0; i < AttentionCase::kKvHeads * rows; i += 3) mass[i] = kStays;
    mass[rows] = kStays;
  }
  const Array<std::int32_t> next(AttentionCase::kKvHeads);
  std::vector<Tokens> expected;
  for (int head = 0; head < AttentionCase::kKvHeads; ++head) {
    const std::int64_t at = head * rows;
    for (std::int64_t i = 0; i < rows; ++i) positions[at + i] = static_cast<std::int32_t>(rows - 1 - i);
    const auto count = static_cast<std::size_t>(rows);
    expected.push_back(op.evict == 0 ? rows - 1
                                     : row_to_evict(with.rule, with.keep, {positions.get() + at, count},
                                                    {mass.get() + at, count}, op.first_position));
  }
  evict_row({c.op.get(),
             with.rule,
             with.keep,
             {positions.get(), mass.get(), next.get(), rows},
             AttentionCase::kKvHeads},
            nullptr);
  finish();
  double wrong = 0;
  for (int head = 0; head < AttentionCase::kKvHeads; ++head) {
    const std::int64_t slot = expected[static_cast<std::size_t>(head)];
    wrong += next[head] != slot;
    wrong += positions[head * rows + slot] != op.first_position;
    wrong += mass[head * rows + slot] != mass_of_new_row(with.rule);
  }
  return {wrong, std::nullopt};
}

CheckError check_kept_rows(const CheckShape& shape) {
  AttentionCase c(shape);
  OpParams& op = c.op[0];
  op.tokens = op.context = c.slots;
  const std::int64_t back = c.data.between(1, 5000);
  op.first_position = op.tokens - 1 + back;
  const std::int64_t sinks = std::min<std::int64_t>(c.data.between(1, 40), c.slots);
  const Array<float> q = c.data.floats(c.heads.query_heads * c.dim());
  const Array<double> frequencies(c.dim() / 2);
  for (int i = 0; i < c.dim() / 2; ++i) frequencies[i] = std::pow(10000.0, -2.0 * i / c.dim());
  const Array<float> scores = c.data.floats(c.heads.query_heads * c.slots);
  sink_logits({c.op.get(), sinks, c.store(), c.heads, c.type, q.get(), frequencies.get(), c.scale(),
               scores.get(), c.slots},
              nullptr);
  const Array<float> lse = c.data.floats(c.heads.query_heads);
  const Array<float> mass = masses(c.data, AttentionCase::kKvHeads * c.slots);
  const std::vector<float> before(mass.get(), mass.get() + AttentionCase::kKvHeads * c.slots);
  add_mass({c.op.get(), c.heads, scores.get(), c.slots, lse.get(), {nullptr, mass.get(), nullptr, c.slots}},
           2, nullptr);
  finish();
  Worst fp64;
  std::vector<float> turned(static_cast<std::size_t>(c.dim()));
  for (int head = 0; head < c.heads.query_heads; ++head) {
    for (int i = 0; i < c.dim() / 2; ++i) {
      const double angle = -static_cast<double>(back) * frequencies[i];
      const double low = q[head * c.dim() + i], high = q[head * c.dim() + i + c.dim() / 2];
      turned[static_cast<std::size_t>(i)] =
          static_cast<float>(low * std::cos(angle) - high * std::sin(angle));
      turned[static_cast<std::size_t>(i + c.dim() / 2)] =
          static_cast<float>(high * std::cos(angle) + low * std::sin(angle));
    }
    for (std::int64_t i = 0; i < sinks; ++i)
      fp64.add(scores[head * c.slots + i], c.logit(turned.data(), head, i));
  }
  for (int head = 0; head < AttentionCase::kKvHeads; ++head) {
    for (std::int64_t i = 0; i < c.slots; ++i) {
      double sum = before[static_cast<std::size_t>(head * c.slots + i)];
      for (int h = head * c.heads.group(); h < (head + 1) * c.heads.group(); ++h) {
        sum += std::exp(static_cast<double>(scores[h * c.slots + i]) - lse[h]);
      }
      fp64.add(mass[head * c.slots + i], sum);
    }
  }
  return {fp64.value(), std::nullopt};
}

CheckError check_prompt_mass(const CheckShape& shape) {
  AttentionCase c(shape);
  const std::int64_t tokens = std::min<std::int64_t>(c.slots, 150);
  const std::int64_t first = c.data.between(0, static_cast<int>(tokens) - 1);
  const int group = c.heads.group();
  const std::int64_t width = c.heads.query_heads * c.dim();
  const std::int64_t q_stride = width + 8;
  const Array<float> q = c.data.floats(tokens * q_stride);
  const Array<float> lse(tokens * c.heads.query_heads);
  const Array<float> mass(AttentionCase::kKvHeads * c.slots);
  prompt_mass({tokens, first, c.store(), c.heads, c.type, q.get(), q_stride, c.scale(), lse.get(), mass.get(),
               c.slots},
              nullptr);
  finish();
  Worst host;
  std::vector<float> expected(static_cast<std::size_t>(tokens));
  std::vector<float> scratch(static_cast<std::size_t>(kernels::prompt_mass_scratch(group, c.dim())));
  for (int head = 0; head < AttentionCase::kKvHeads; ++head) {
    kernels::prompt_mass(c.type, q.get() + static_cast<std::int64_t>(head) * group * c.dim(), q_stride, first,
                         tokens, group, c.dim(), c.k.get() + head * c.slots * c.row_bytes(), c.scale(),
                         scratch.data(), expected.data());
    for (std::int64_t i = 0; i < tokens; ++i)
      host.add(mass[head * c.slots + i], expected[static_cast<std::size_t>(i)]);
  }
  std::vector<double> sums(static_cast<std::size_t>(AttentionCase::kKvHeads * tokens));
  c.op[0].context = c.op[0].tokens = c.slots;  // row i of the store is position i
  for (std::int64_t t = first; t < tokens; ++t) {
    for (int head = 0; head < c.heads.query_heads; ++head) {
      std::vector<double> weights;
      double total = 0;
      for (std::int64_t i = 0; i <= t; ++i) {
        weights.push_back(std::exp(c.logit(q.get() + t * q_stride + head * c.dim(), head, i)));
        total += weights.back();
      }
      for (std::int64_t i = 0; i <= t; ++i) {
        sums[static_cast<std::size_t>(head / group * tokens + i)] +=
            weights[static_cast<std::size_t>(i)] / total;
      }
    }
  }
  Worst fp64;
  for (int head = 0; head < AttentionCase::kKvHeads; ++head) {
    for (std::int64_t i = 0; i < tokens; ++i) {
      fp64.add(mass[head * c.slots + i], sums[static_cast<std::size_t>(head * tokens + i)]);
    }
  }
  return {fp64.value(), host.value()};
}

}  // namespace

std::vector<KernelCheck> kept_checks() {
  return {
      {"keep_rows", "what a prompt keeps, by every rule", kExact, true, check_keep_rows},
      {"evict_row", "a free slot, and the row that goes, by every rule", kExact, true, check_evict_row},
      {"kept_rows", "sinks seen from elsewhere, masses", kFp32Bound, true, check_kept_rows},
      {"prompt_mass", "the last queries of a prompt", kMassBound, true, check_prompt_mass},
  };
}

}  // namespace hybridgen::cuda
