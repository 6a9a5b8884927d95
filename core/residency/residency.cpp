#include "core/residency/residency.hpp"

#include <algorithm>

#include "core/base/check.hpp"

namespace hybridgen {

const char* name_of(KvDtype dtype) {
  switch (dtype) {
    case KvDtype::f16:
      return "fp16";
    case KvDtype::f32:
      return "fp32";
    case KvDtype::bf16:
      return "bf16";
    case KvDtype::int8:
      return "int8";
  }
  return "?";
}

const char* name_of(Purpose purpose) {
  switch (purpose) {
    case Purpose::weights:
      return "weights";
    case Purpose::device_kv:
      return "device segment";
    case Purpose::staging:
      return "staging";
    case Purpose::host_k:
      return "host K";
    case Purpose::host_v:
      return "host V";
    case Purpose::exchange:
      return "exchange buffers";
    case Purpose::activations:
      return "activations";
    case Purpose::workspace:
      return "workspace";
    case Purpose::metadata:
      return "selection metadata";
    case Purpose::predictor:
      return "query predictor";
  }
  return "?";
}

Residency::Residency(const Machine& machine, Bytes row_bytes, int layers, int requests)
    : machine_(machine),
      row_bytes_(row_bytes),
      layers_(layers),
      extents_(static_cast<std::size_t>(requests) * 2 * machine.tiers().size()),
      trimmed_(extents_.size()),
      withheld_(machine.tiers().size()),
      used_(machine.tiers().size()),
      peak_(machine.tiers().size()) {
  HG_CHECK(row_bytes > 0 && layers > 0 && requests > 0, "an empty residency");
}

std::optional<Shortage> Residency::reserve(TierId tier, Bytes bytes) {
  const Bytes free = this->free(tier);
  if (bytes > free) return Shortage{tier, bytes, free};
  take(tier, bytes);
  return std::nullopt;
}

std::optional<Shortage> Residency::withhold(TierId tier, Bytes bytes) {
  const Bytes free = this->free(tier);
  if (bytes > free) return Shortage{tier, bytes, free};
  withheld_.at(tier.index()) += bytes;
  return std::nullopt;
}

Bytes Residency::free(TierId tier) const {
  return machine_.tier(tier).capacity - withheld_.at(tier.index()) - used(tier);
}

std::optional<Shortage> Residency::prepare(TierId tier, std::int64_t rows) const {
  const Bytes free = this->free(tier);
  const Bytes wanted = rows * row_bytes_;
  if (wanted > free) return Shortage{tier, wanted, free};
  return std::nullopt;
}

void Residency::append(RequestId request, KvHalf half, TierId tier, std::int64_t rows) {
  HG_CHECK(rows >= 0, "request " << request.value);
  std::int64_t& present = extent(request, half, tier);
  take(tier, rows * row_bytes_);
  present += rows;
}

void Residency::move(RequestId request, KvHalf half, TierId from, TierId to, std::int64_t rows) {
  std::int64_t& source = extent(request, half, from);
  HG_CHECK(0 <= rows && rows <= source, "request " << request.value << " has " << source << " rows in "
                                                   << machine_.tier(from).name << ", asked to move " << rows);
  std::int64_t& destination = extent(request, half, to);
  source -= rows;
  used_[from.index()] -= rows * row_bytes_;
  take(to, rows * row_bytes_);
  destination += rows;
}

void Residency::release(RequestId request, KvHalf half, TierId tier, std::int64_t rows) {
  std::int64_t& present = extent(request, half, tier);
  HG_CHECK(0 <= rows && rows <= present, "request " << request.value << " has " << present << " rows in "
                                                    << machine_.tier(tier).name << ", asked to release "
                                                    << rows);
  present -= rows;
  used_[tier.index()] -= rows * row_bytes_;
}

void Residency::trim(RequestId request, KvHalf half, TierId tier, std::int64_t rows) {
  const std::size_t at = index_of(request, half, tier);
  const std::int64_t present = extents_[at] - trimmed_[at];
  HG_CHECK(0 <= rows && rows <= present, "request " << request.value << " has " << present << " rows in "
                                                    << machine_.tier(tier).name << ", asked to trim "
                                                    << rows);
  trimmed_[at] += rows;
  used_[tier.index()] -= rows * row_bytes_;
}

void Residency::drop(RequestId request) {
  for (const KvHalf half : {KvHalf::k, KvHalf::v}) {
    for (const Tier& tier : machine_.tiers()) {
      const std::size_t at = index_of(request, half, tier.id);
      used_[tier.id.index()] -= (extents_[at] - trimmed_[at]) * row_bytes_;
      extents_[at] = 0;
      trimmed_[at] = 0;
    }
  }
}

std::int64_t Residency::rows(RequestId request, KvHalf half, TierId tier) const {
  return extents_.at(index_of(request, half, tier));
}

Tokens Residency::tokens(RequestId request, KvHalf half) const {
  std::int64_t sum = 0;
  for (const Tier& tier : machine_.tiers()) sum += rows(request, half, tier.id);
  HG_CHECK(sum % layers_ == 0,
           "request " << request.value << " has " << sum << " rows in " << layers_ << " layers");
  return sum / layers_;
}

std::size_t Residency::index_of(RequestId request, KvHalf half, TierId tier) const {
  // An id out of range would be a neighbour's extent.
  HG_CHECK(tier.valid() && tier.index() < machine_.tiers().size(),
           "request " << request.value << " in tier " << tier.value);
  const std::size_t row = request.index() * 2 + static_cast<std::size_t>(half);
  const std::size_t index = row * machine_.tiers().size() + tier.index();
  HG_CHECK(index < extents_.size(), "request " << request.value << " is none of the run's");
  return index;
}

void Residency::take(TierId tier, Bytes bytes) {
  Bytes& used = used_.at(tier.index());
  used += bytes;
  HG_CHECK(free(tier) >= 0, "tier " << machine_.tier(tier).name << " holds " << used << " bytes of "
                                    << machine_.tier(tier).capacity << ", " << withheld_[tier.index()]
                                    << " of which are withheld");
  peak_[tier.index()] = std::max(peak_[tier.index()], used);
}

}  // namespace hybridgen
