// What a policy costs in answers, measured teacher-forced: both sides see the same tokens, so that one
// prediction never depends on an earlier mistake.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "formats/quality_summary.hpp"

namespace hybridgen {

// Adds up what choosing host rows did, layer by layer.
class AttentionMeter {
 public:
  void add(int layer, double cosine, double recall, double captured_mass);
  // Layers that were heard of, in order; their mode is left empty.
  std::vector<LayerQuality> layers() const;

 private:
  struct Sum {
    std::int64_t count = 0;
    double cosine = 0, recall = 0, captured_mass = 0;
  };
  std::map<int, Sum> sums_;
};

// Adds up predictions one by one. All arithmetic in double precision.
class QualityMeter {
 public:
  // Logits over the vocabulary, before any softmax, of full attention and of the policy; the token that the
  // text has next. Equal maxima count as the lowest id. Logits that are no number are our bug.
  void add(std::span<const float> reference_logits, std::span<const float> policy_logits, int target_token);
  QualitySummary summary() const;

 private:
  std::vector<double> reference_log_likelihoods_;
  std::vector<double> policy_log_likelihoods_;
  std::vector<double> kls_;
  std::int64_t agreements_ = 0;
};

}  // namespace hybridgen
