#include "sim/world/locality_law.hpp"

#include <algorithm>
#include <utility>

#include "core/base/check.hpp"
#include "core/base/error.hpp"
#include "sim/world/fixed_point.hpp"

namespace hybridgen {
namespace {

constexpr int kMostGroup = 255;                     // the union's products stay within 64 bits
constexpr std::int64_t kFarFromCap = 16 * kQ24One;  // 2^16 of the cut-off's term: cap or free share alone

std::int64_t share_of_ppm(Ppm ppm) {
  return ppm * kWholeShare / kPpmOne;
}

// between(a, b) at part / whole of the way.
std::int64_t between(std::int64_t a, std::int64_t b, std::int64_t part, std::int64_t whole) {
  return whole == 0 ? b : a + (b - a) * part / whole;
}

// Two neighbours of a list, and how far from the first to the second: at the ends both are the same.
template <class Point>
struct Between {
  const Point& low;
  const Point& high;
  std::int64_t part;
  std::int64_t whole;

  std::int64_t of(std::vector<std::int64_t> Point::*values, std::size_t layer) const {
    return between((low.*values)[layer], (high.*values)[layer], part, whole);
  }
};

// Of a point, the coordinate along which is interpolated.
template <class Point, class Coordinate>
Between<Point> around(const std::vector<Point>& points, std::int64_t at, const Coordinate& coordinate) {
  const auto above =
      std::find_if(points.begin(), points.end(), [&](const Point& point) { return coordinate(point) >= at; });
  if (above == points.begin()) return {points.front(), points.front(), 0, 0};
  if (above == points.end()) return {points.back(), points.back(), 0, 0};
  const Point& below = *(above - 1);
  return {below, *above, at - coordinate(below), coordinate(*above) - coordinate(below)};
}

std::string alpha_text(std::int64_t milli) {
  std::string text = std::to_string(milli / 1000);
  if (milli % 1000 != 0) text += "." + std::to_string(1000 + milli % 1000).substr(1);
  return text;
}

}  // namespace

std::int64_t share_of(std::int64_t count, Tokens tokens) {
  HG_CHECK(0 <= count && count <= tokens && tokens < (Tokens{1} << 34), count << " of " << tokens << " rows");
  return count * kWholeShare / tokens;
}

std::int64_t union_share(std::int64_t chosen, Ppm correlation, int group) {
  HG_CHECK(0 < group && group <= kMostGroup, "a group of " << group);
  const std::int64_t alike = share_of_ppm(correlation);
  const std::int64_t unlike = kWholeShare - alike;
  // The first head's factor; unlike cancels, so that a correlation of 1 needs no case of its own.
  std::int64_t left_out = kWholeShare - chosen;
  for (int head = 1; head < group; ++head) {
    const std::int64_t others = head * alike;
    const std::int64_t of_all = unlike + others;
    const std::int64_t leaving = (kWholeShare - chosen) * unlike / kWholeShare + others;
    left_out =
        static_cast<std::int64_t>(static_cast<std::uint64_t>(left_out) * static_cast<std::uint64_t>(leaving) /
                                  static_cast<std::uint64_t>(of_all));
  }
  return kWholeShare - left_out;
}

LocalityLaw::LocalityLaw(Locality fit, int layers) : fit_(std::move(fit)), layers_(layers) {
  HG_CHECK(layers > 0 && fit_.layers > 0, layers << " layers by " << fit_.layers);
}

std::size_t LocalityLaw::fitted_layer(std::int32_t layer) const {
  return static_cast<std::size_t>(std::int64_t{layer} * fit_.layers / layers_);
}

ExpectedRows LocalityLaw::expected(const Selection& selection) const {
  const std::size_t layer = fitted_layer(selection.layer);
  if (selection.rule != SelectRule::threshold) {
    return united(share_of(selection.rows_per_head, selection.tokens), selection.group, layer);
  }
  ExpectedRows rows = taken_by_one(selection, layer);
  // The largest logit is always within alpha of itself.
  rows.share = std::max(rows.share, share_of(1, selection.tokens));
  if (selection.group > 1) rows.share = united(rows.share, selection.group, layer).share;
  return rows;
}

CappedRows under_cap(std::int64_t cap, std::int64_t log_free_share, std::int64_t sharpness_permille) {
  if (cap <= 0) return {};
  const std::int64_t log_cap = log2_q24(cap);
  const std::int64_t log_term = (log_cap - log_free_share) * sharpness_permille / 1000;
  if (log_term < -kFarFromCap) return {cap, 0};
  if (log_term > kFarFromCap) return {exp2_q24(log_free_share) >> kQ24Bits, 1000};
  const std::int64_t term = exp2_q24(log_term);  // (c / m)^s
  const std::int64_t log_sum = log2_q24(kQ24One + term) - kQ24Bits * kQ24One;
  const std::int64_t share = exp2_q24(log_cap - log_sum * 1000 / sharpness_permille) >> kQ24Bits;
  return {std::min(share, cap), term * 1000 / (kQ24One + term)};
}

ExpectedRows LocalityLaw::united(std::int64_t share, int group, std::size_t layer) const {
  if (fit_.overlap.empty()) {
    throw BadInput(
        "locality outcomes: no overlap of query heads was fitted; add runs with select: top-k and "
        "select_by: kv-group to `hybridgen fit-locality`");
  }
  const auto coordinate = [](const LocalityOverlap& point) {
    return log2_q24(std::max<std::int64_t>(1, share_of_ppm(point.share)));
  };
  const auto at = around(fit_.overlap, log2_q24(std::max<std::int64_t>(1, share)), coordinate);
  return {union_share(share, at.of(&LocalityOverlap::correlation_ppm, layer), group),
          at.of(&LocalityOverlap::step_permille, layer), at.of(&LocalityOverlap::request_permille, layer)};
}

std::int64_t log_free_share(Ppm share, std::int64_t growth_permille, Tokens tokens, Tokens mean_rows) {
  const std::int64_t longer = log2_q24(tokens) - log2_q24(mean_rows);
  return log2_q24(std::max<std::int64_t>(1, share_of_ppm(share))) + longer * (growth_permille - 1000) / 1000;
}

ExpectedRows LocalityLaw::taken_by_one(const Selection& selection, std::size_t layer) const {
  const auto& fitted = fit_.thresholds;
  const std::int64_t alpha = selection.alpha_milli;
  if (fitted.empty() || alpha < fitted.front().alpha_milli || alpha > fitted.back().alpha_milli) {
    throw BadInput("locality outcomes: alpha " + alpha_text(alpha) + " was not fitted (" +
                   (fitted.empty() ? "no run with select: threshold was"
                                   : "runs with " + alpha_text(fitted.front().alpha_milli) + " to " +
                                         alpha_text(fitted.back().alpha_milli) + " were") +
                   "); add such a run to `hybridgen fit-locality`");
  }
  const auto at =
      around(fitted, alpha, [](const LocalityThreshold& threshold) { return threshold.alpha_milli; });
  const auto free_share = [&](const LocalityThreshold& threshold) {
    return log_free_share(threshold.share_ppm[layer], threshold.growth_permille[layer], selection.tokens,
                          fit_.mean_rows);
  };
  const std::int64_t low = free_share(at.low);
  // Far from the recorded lengths two of them may cross; a larger alpha never takes fewer rows.
  const std::int64_t high = std::max(low, free_share(at.high));
  const CappedRows rows =
      under_cap(share_of(selection.rows_per_head, selection.tokens), between(low, high, at.part, at.whole),
                at.of(&LocalityThreshold::sharpness_permille, layer));
  return {rows.share, at.of(&LocalityThreshold::step_permille, layer) * rows.passing_permille / 1000,
          at.of(&LocalityThreshold::request_permille, layer) * rows.passing_permille / 1000};
}

}  // namespace hybridgen
