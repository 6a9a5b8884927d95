#include "runtime/host/keep_rules.hpp"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "core/base/check.hpp"
#include "runtime/kernels/pool.hpp"

namespace hybridgen {
namespace {

constexpr float kStays = std::numeric_limits<float>::infinity();  // observation_window: chosen by no mass

// The `count` positions below `end` with the largest mass, ascending; of equal ones the older or the younger.
enum class Ties { older, younger };
std::vector<std::int64_t> heaviest(std::span<const float> mass, Tokens end, Tokens count, Ties ties) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(end));
  for (std::size_t p = 0; p < order.size(); ++p) order[p] = static_cast<std::int64_t>(p);
  const auto before = [&](std::int64_t a, std::int64_t b) {
    const float x = mass[static_cast<std::size_t>(a)];
    const float y = mass[static_cast<std::size_t>(b)];
    if (x != y) return x > y;
    return ties == Ties::older ? a < b : a > b;
  };
  const auto kept = order.begin() + count;
  std::nth_element(order.begin(), kept, order.end(), before);
  order.erase(kept, order.end());
  std::sort(order.begin(), order.end());
  return order;
}

// The chosen ones of the older tokens, then the newest: `mass_of` says what the rule remembers of each.
template <class MassOf>
std::vector<KeptToken> with_newest(const std::vector<std::int64_t>& older, Tokens first_newest, Tokens prompt,
                                   const MassOf& mass_of) {
  std::vector<KeptToken> kept;
  for (const std::int64_t p : older) kept.push_back({p, mass_of(p)});
  for (Tokens p = first_newest; p < prompt; ++p) kept.push_back({p, mass_of(p)});
  return kept;
}

std::vector<KeptToken> keep_sinks(const KeepRule& keep, Tokens prompt, Tokens count) {
  std::vector<std::int64_t> sinks;
  for (Tokens p = 0; p < std::min(keep.sinks, count); ++p) sinks.push_back(p);
  const Tokens newest = count - static_cast<Tokens>(sinks.size());
  return with_newest(sinks, prompt - newest, prompt, [](std::int64_t) { return 0.0F; });
}

std::vector<KeptToken> keep_heavy(const KeepRule& keep, std::span<const float> mass, Tokens prompt,
                                  Tokens count) {
  const Tokens recent = std::min(keep.recent, count);
  return with_newest(heaviest(mass, prompt - recent, count - recent, Ties::younger), prompt - recent, prompt,
                     [&](std::int64_t p) { return mass[static_cast<std::size_t>(p)]; });
}

std::vector<KeptToken> keep_observed(const KeepRule& keep, std::span<const float> mass, Tokens prompt,
                                     Tokens count) {
  if (count == prompt) return with_newest({}, 0, prompt, [](std::int64_t) { return kStays; });
  const Tokens prefix = prompt - keep.window;
  std::vector<float> pooled(static_cast<std::size_t>(prefix));
  kernels::pool(mass.data(), prefix, keep.kernel, keep.pooling == Pooling::max, pooled.data());
  return with_newest(
      heaviest(pooled, prefix, count - keep.window, Ties::older), prefix, prompt,
      [&](std::int64_t p) { return p < prefix ? pooled[static_cast<std::size_t>(p)] : kStays; });
}

// The slot whose row has the least key, then the least tie; rows without a key stay.
struct Key {
  float mass = 0;
  std::int64_t tie = 0;
};
template <class KeyOf>
Tokens first_to_go(std::size_t rows, const KeyOf& key_of) {
  std::optional<Key> least;
  Tokens found = 0;
  for (std::size_t slot = 0; slot < rows; ++slot) {
    const std::optional<Key> key = key_of(slot);
    if (!key || (least && std::pair(least->mass, least->tie) <= std::pair(key->mass, key->tie))) continue;
    least = key;
    found = static_cast<Tokens>(slot);
  }
  HG_CHECK(least, "none of " << rows << " rows may go");
  return found;
}

}  // namespace

std::vector<KeptToken> rows_to_keep(SelectRule rule, const KeepRule& keep, std::span<const float> mass,
                                    Tokens prompt, Tokens count) {
  HG_CHECK(0 < count && count <= prompt, count << " rows of a prompt of " << prompt);
  switch (rule) {
    case SelectRule::sink_window:
      return keep_sinks(keep, prompt, count);
    case SelectRule::heavy_hitter:
      return keep_heavy(keep, mass, prompt, count);
    case SelectRule::observation_window:
      return keep_observed(keep, mass, prompt, count);
    default:
      HG_CHECK(false, "a rule that keeps no rows");
  }
  return {};
}

Tokens row_to_evict(SelectRule rule, const KeepRule& keep, std::span<const std::int32_t> positions,
                    std::span<const float> mass, std::int64_t position) {
  using MaybeKey = std::optional<Key>;
  switch (rule) {
    case SelectRule::sink_window:
      return first_to_go(positions.size(), [&](std::size_t slot) {
        return positions[slot] < keep.sinks ? MaybeKey() : Key{0, positions[slot]};
      });
    case SelectRule::heavy_hitter:
      return first_to_go(positions.size(), [&](std::size_t slot) {
        return positions[slot] >= position - keep.recent ? MaybeKey() : Key{mass[slot], positions[slot]};
      });
    case SelectRule::observation_window:
      return first_to_go(positions.size(), [&](std::size_t slot) {
        if (mass[slot] == kStays) return MaybeKey(Key{kStays, positions[slot]});
        // Chosen rows: of equal masses the younger goes.
        return keep.generated == Generated::slide ? MaybeKey() : Key{mass[slot], -positions[slot]};
      });
    default:
      HG_CHECK(false, "a rule that keeps no rows");
  }
  return 0;
}

float mass_of_new_row(SelectRule rule) {
  return rule == SelectRule::observation_window ? kStays : 0.0F;
}

}  // namespace hybridgen
