#include "study/quality_table.hpp"

#include "study/text_table.hpp"

namespace hybridgen {
namespace {

// What every policy does alike: the model's products and the token.
bool is_of_the_model(OpKind kind) {
  switch (kind) {
    case OpKind::embed:
    case OpKind::norm_qkv:
    case OpKind::project_out:
    case OpKind::ffn:
    case OpKind::lm_head:
    case OpKind::sample:
      return true;
    default:
      return false;
  }
}

std::string with_error(double value, double error, int digits) {
  return number(value, digits) + " (" + number(error, digits) + ")";
}

}  // namespace

void add_bytes(const Machine& machine, const Timeline& timeline, QualityRow& row) {
  std::int64_t tokens = 0;
  Bytes attention = 0;
  Bytes links = 0;
  for (const StepEvent& step : timeline.steps) {
    if (step.decision.rows.front().prefill()) continue;
    ++tokens;
    for (const OpEvent& op : step.ops) {
      if (!is_of_the_model(op.kind)) attention += op.bytes;
    }
    for (const Channel& channel : machine.channels()) {
      if (channel.kind == ChannelKind::link) links += step.channel_bytes[channel.id.index()];
    }
  }
  if (tokens == 0) return;
  row.attention_bytes = static_cast<double>(attention) / static_cast<double>(tokens);
  row.link_bytes = static_cast<double>(links) / static_cast<double>(tokens);
}

std::string quality_table(const std::vector<QualityRow>& rows) {
  std::vector<TextRow> table = {
      {"policy", "budget", "perplexity", "ratio", "top-1", "mean KL", "median KL", "MB/token", "over links"}};
  for (const QualityRow& row : rows) {
    const QualitySummary& q = row.quality;
    const double ratio = q.perplexity / q.reference_perplexity;
    table.push_back({row.name, row.budget > 0 ? std::to_string(row.budget) : "own", number(q.perplexity, 3),
                     with_error(ratio, ratio * q.log_likelihood_difference_error, 4),
                     with_error(q.top1_agreement, q.top1_agreement_error, 4),
                     with_error(q.mean_kl, q.mean_kl_error, 5), with_error(q.median_kl, q.median_kl_error, 5),
                     number(row.attention_bytes / 1e6, 2), number(row.link_bytes / 1e6, 2)});
  }
  return text_table(table);
}

}  // namespace hybridgen
