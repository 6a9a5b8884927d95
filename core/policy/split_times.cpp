#include "core/policy/split_times.hpp"

namespace hybridgen {
namespace {

constexpr OpKind kHostKinds[] = {OpKind::host_logits, OpKind::select,    OpKind::pack_rows,
                                 OpKind::send_scores, OpKind::send_rows, OpKind::pack_keys,
                                 OpKind::send_keys};
constexpr OpKind kAttentionKinds[] = {OpKind::device_logits, OpKind::joint_attend, OpKind::row_logits,
                                      OpKind::fit_logits, OpKind::correct_scores};
constexpr OpKind kLayerKinds[] = {OpKind::norm_qkv, OpKind::project_out, OpKind::ffn, OpKind::predict_query};

}  // namespace

SplitTimes split_times(const RequestView& request, const Observation& observation, bool from_estimator,
                       bool whole_layer, int layers) {
  const auto of_request = [&](OpKind kind) {
    return from_estimator ? layers * observation.estimator.op_ns(kind)
                          : observation.times.of(request.id, kind);
  };
  const auto of_all = [&](OpKind kind) {
    return from_estimator ? layers * observation.estimator.op_ns(kind) : observation.times.of_all(kind);
  };
  SplitTimes times;
  for (const OpKind kind : kHostKinds) times.host_ns += of_request(kind);
  for (const OpKind kind : kAttentionKinds) times.device_ns += of_request(kind);
  if (whole_layer) {
    for (const OpKind kind : kLayerKinds) times.device_ns += of_all(kind);
  }
  return times;
}

}  // namespace hybridgen
