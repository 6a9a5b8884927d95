#include "sim/world/locality_law.hpp"

#include <algorithm>
#include <utility>

#include "core/base/check.hpp"
#include "core/base/error.hpp"
#include "sim/world/fixed_point.hpp"

namespace hybridgen {
namespace {

constexpr int kMostGroup = 255;                   // the union's products stay within 64 bits
constexpr std::int64_t kMostScale = 256 * kQ24One;  // and so do a few rows of a short context

std::int64_t share_of_ppm(Ppm ppm) {
  return ppm * kWholeShare / kPpmOne;
}

// between(a, b) at part / whole of the way.
std::int64_t between(std::int64_t a, std::int64_t b, std::int64_t part, std::int64_t whole) {
  return whole == 0 ? b : a + (b - a) * part / whole;
}

// Two neighbouring points, and how far from the first to the second: at the ends both are the same.
struct Between {
  const LocalityPoint& low;
  const LocalityPoint& high;
  std::int64_t part;
  std::int64_t whole;

  std::int64_t of(std::vector<std::int64_t> LocalityPoint::*values, std::size_t layer) const {
    return between((low.*values)[layer], (high.*values)[layer], part, whole);
  }
};

// Of a point, the coordinate along which is interpolated.
template <class Coordinate>
Between around(const std::vector<LocalityPoint>& points, std::int64_t at, const Coordinate& coordinate) {
  const auto above = std::find_if(points.begin(), points.end(),
                                  [&](const LocalityPoint& point) { return coordinate(point) >= at; });
  if (above == points.begin()) return {points.front(), points.front(), 0, 0};
  if (above == points.end()) return {points.back(), points.back(), 0, 0};
  const LocalityPoint& below = *(above - 1);
  return {below, *above, at - coordinate(below), coordinate(*above) - coordinate(below)};
}

std::string alpha_text(std::int64_t milli) {
  std::string text = std::to_string(milli / 1000);
  if (milli % 1000 != 0) text += "." + std::to_string(1000 + milli % 1000).substr(1);
  return text;
}

// c a / (c + a), where that is `level` at c = fitted.
std::int64_t under_cap(std::int64_t c, std::int64_t fitted, std::int64_t level) {
  if (level >= fitted) return c;
  const std::int64_t a = std::min(fitted * level / (fitted - level), kWholeShare << 6);
  return c + a == 0 ? 0 : c * a / (c + a);
}

// Rows that one query head takes by one curve, when it may take `most` of them and all shares are `scale`
// (Q24) of the fitted ones.
ExpectedRows taken_by(const LocalityThreshold& curve, std::int64_t most, std::int64_t scale, std::size_t layer) {
  const std::int64_t fitted_most = std::min(kWholeShare, most * kQ24One / std::max<std::int64_t>(scale, 1));
  const auto coordinate = [](const LocalityPoint& point) { return share_of_ppm(point.share); };
  const Between at = around(curve.points, fitted_most, coordinate);
  std::int64_t level = share_of_ppm(at.low.level[layer]);
  const std::int64_t first = coordinate(curve.points.front());
  if (fitted_most < first) {
    level = under_cap(fitted_most, first, level);
  } else if (at.whole != 0) {
    level = between(level, share_of_ppm(at.high.level[layer]), at.part, at.whole);
  }
  return {std::min(most, level * scale / kQ24One), at.of(&LocalityPoint::step_permille, layer),
          at.of(&LocalityPoint::request_permille, layer)};
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
    left_out = static_cast<std::int64_t>(static_cast<std::uint64_t>(left_out) * static_cast<std::uint64_t>(leaving) /
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

ExpectedRows LocalityLaw::united(std::int64_t share, int group, std::size_t layer) const {
  if (fit_.overlap.empty()) {
    throw BadInput("locality outcomes: no overlap of query heads was fitted; add runs with select: top-k and "
                   "select_by: kv-group to `hybridgen fit-locality`");
  }
  const auto coordinate = [](const LocalityPoint& point) {
    return log2_q24(std::max<std::int64_t>(1, share_of_ppm(point.share)));
  };
  const Between at = around(fit_.overlap, log2_q24(std::max<std::int64_t>(1, share)), coordinate);
  return {union_share(share, at.of(&LocalityPoint::level, layer), group),
          at.of(&LocalityPoint::step_permille, layer), at.of(&LocalityPoint::request_permille, layer)};
}

ExpectedRows LocalityLaw::taken_by_one(const Selection& selection, std::size_t layer) const {
  const auto& curves = fit_.thresholds;
  const std::int64_t alpha = selection.alpha_milli;
  if (curves.empty() || alpha < curves.front().alpha_milli || alpha > curves.back().alpha_milli) {
    throw BadInput("locality outcomes: alpha " + alpha_text(alpha) + " was not fitted (" +
                   (curves.empty() ? "no run with select: threshold was"
                                   : "runs with " + alpha_text(curves.front().alpha_milli) + " to " +
                                         alpha_text(curves.back().alpha_milli) + " were") +
                   "); add such a run to `hybridgen fit-locality`");
  }
  const std::int64_t longer = log2_q24(selection.tokens) - log2_q24(fit_.mean_rows);
  const std::int64_t scale =
      std::min(kMostScale, exp2_q24(longer * (fit_.growth_permille - 1000) / 1000));
  const std::int64_t most = share_of(selection.rows_per_head, selection.tokens);
  const auto above =
      std::find_if(curves.begin(), curves.end(), [&](const auto& curve) { return curve.alpha_milli >= alpha; });
  const ExpectedRows high = taken_by(*above, most, scale, layer);
  if (above->alpha_milli == alpha) return high;
  const LocalityThreshold& below = *(above - 1);
  const ExpectedRows low = taken_by(below, most, scale, layer);
  const std::int64_t part = alpha - below.alpha_milli;
  const std::int64_t whole = above->alpha_milli - below.alpha_milli;
  const std::int64_t log_low = log2_q24(std::max<std::int64_t>(1, low.share));
  const std::int64_t log_high = log2_q24(std::max<std::int64_t>(1, high.share));
  return {std::min(most, exp2_q24(between(log_low, log_high, part, whole)) >> kQ24Bits),
          between(low.step_permille, high.step_permille, part, whole),
          between(low.request_permille, high.request_permille, part, whole)};
}

}  // namespace hybridgen
