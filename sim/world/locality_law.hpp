// How many rows a selection yields on average, by what was fitted: count-level, so that a context of any
// length costs the same, and in integers, so that every platform draws the same counts.
//
// Rows of one KV head differ in how likely its query heads are to choose them. With the share p chosen on
// average and an intraclass correlation r, as of a beta-binomial law, G heads leave out a row with
// probability
//   prod over j < G of ((1 - p)(1 - r) + j r) / ((1 - r) + j r),
// and the union has the rest: p where r is 1, 1 - (1 - p)^G where it is 0. Between fitted points r is linear
// in log p.
//
// A query head with a threshold takes the share m of the rows where nothing holds it back; with n rows to
// choose among instead of the n0 of the fit, (n / n0)^(growth - 1) times as much. If it may take the share c
// it takes
//   c (1 + (c / m)^s)^(-1 / s)
// on average: m where c is large, c where it is small, and the sharper s, the longer min(c, m). Between
// fitted alphas m is log-linear. Of a group, this takes the place of p above.
#pragma once

#include "core/machine/locality.hpp"
#include "sim/world/selection.hpp"

namespace hybridgen {

// A share of the rows chosen among in units of 2^-28: fine enough for a single row of any context.
inline constexpr int kShareBits = 28;
inline constexpr std::int64_t kWholeShare = std::int64_t{1} << kShareBits;

// Rows per packed head and row chosen among, and how counts scatter about it (see LocalityOverlap).
struct ExpectedRows {
  std::int64_t share = 0;
  std::int64_t step_permille = 0;
  std::int64_t request_permille = 0;
};

class LocalityLaw {
 public:
  // layers: of the model that is simulated. Its layer l is fitted layer l x fitted layers / layers, rounded
  // down.
  LocalityLaw(Locality fit, int layers);

  const Locality& fit() const { return fit_; }
  // BadInput where nothing was fitted for the selection: no overlap of heads, or an alpha outside the fitted
  // ones.
  ExpectedRows expected(const Selection& selection) const;

 private:
  std::size_t fitted_layer(std::int32_t layer) const;
  ExpectedRows taken_by_one(const Selection& selection, std::size_t layer) const;
  // share: that each head chooses.
  ExpectedRows united(std::int64_t share, int group, std::size_t layer) const;

  Locality fit_;
  int layers_;
};

// The share of the rows that at least one of `group` heads chooses, each the share `chosen`; correlation in
// millionths.
std::int64_t union_share(std::int64_t chosen, Ppm correlation, int group);
// The share that a query head takes of `tokens` rows where no cap holds it back, fitted at `mean_rows`: its
// logarithm, base 2, Q24, of units of 2^-28.
std::int64_t log_free_share(Ppm share, std::int64_t growth_permille, Tokens tokens, Tokens mean_rows);
// What a query head takes of the rows when it may take `cap` of them, and the part of a relative change of
// its free share that gets through the cap, in thousandths. The free share as its logarithm, base 2, Q24.
struct CappedRows {
  std::int64_t share = 0;
  std::int64_t passing_permille = 0;
};
CappedRows under_cap(std::int64_t cap, std::int64_t log_free_share, std::int64_t sharpness_permille);
// count / tokens, count <= tokens.
std::int64_t share_of(std::int64_t count, Tokens tokens);

}  // namespace hybridgen
