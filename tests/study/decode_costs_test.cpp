// A card's platform by what its decode runs took, op kind by op kind.
#include "study/decode_costs.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/machine/op_kind.hpp"

namespace hybridgen {
namespace {

using ::testing::HasSubstr;

constexpr double kHbmGBps = 3000;
constexpr double kDramGBps = 100;
constexpr double kLinkGBps = 50;

PlatformDescription card() {
  PlatformDescription card;
  card.channels = {{"hbm", ChannelKind::memory, kHbmGBps, "stream"},
                   {"dram", ChannelKind::memory, kDramGBps, "stream"},
                   {"h2d", ChannelKind::link, kLinkGBps, "copies"}};
  card.processors = {{"gpu", ProcessorKind::gpu, {}, {}}, {"cpu", ProcessorKind::cpu, {}, {}}};
  card.processors[0].kernels = {
      {"default", 1000, std::nullopt, std::nullopt, std::nullopt, std::nullopt, "launch"}};
  card.d2h = {5000, 40, "copies"};
  return card;
}

// Two contexts of a system's op, each so many bytes and so long.
class Decode {
 public:
  Decode() : results_(2) {
    results_[0].stage = "decode-8k";
    results_[1].stage = "decode-32k";
    for (BenchResult& result : results_) result.card = "a card";
  }
  Decode& op(const std::string& system, OpKind kind, double bytes, double us, double more_bytes,
             double more_us) {
    const std::string name = name_of(kind);
    add(system, "time of " + name, us, more_us);
    add(system, "bytes of " + name, bytes, more_bytes);
    return *this;
  }
  Decode& add(const std::string& system, const std::string& quantity, double at_8k, double at_32k) {
    results_[0].figures.push_back({system, "8192 tokens, a model", quantity, "?", at_8k, 0, std::nullopt});
    results_[1].figures.push_back({system, "32768 tokens, a model", quantity, "?", at_32k, 0, std::nullopt});
    return *this;
  }
  PlatformDescription costs() const { return with_decode_costs(card(), results_, {32, 1024}); }

 private:
  std::vector<BenchResult> results_;
};

PlatformDescription::Kernel kernel(const PlatformDescription& card, std::size_t processor, OpKind kind) {
  for (const auto& each : card.processors.at(processor).kernels) {
    if (each.op == name_of(kind)) return each;
  }
  ADD_FAILURE() << "no kernel " << name_of(kind);
  return {};
}

// 10 us and 2000 GB/s.
TEST(DecodeCosts, TwoSizes_theLineThroughThem) {
  const auto attend =
      kernel(Decode().op("full-gpu", OpKind::attend, 40e6, 30, 160e6, 90).costs(), 0, OpKind::attend);
  EXPECT_NEAR(attend.fixed_ns, 10'000, 1);
  EXPECT_NEAR(*attend.bandwidth_GBps, 2000, 0.1);
  EXPECT_THAT(attend.source, HasSubstr("full-gpu"));
}

TEST(DecodeCosts, OneSize_whatTheMemoryDoesNotTakeIsFixed) {
  const auto ffn =
      kernel(Decode().op("full-gpu", OpKind::ffn, 300e6, 110, 300e6, 106).costs(), 0, OpKind::ffn);
  EXPECT_FALSE(ffn.bandwidth_GBps.has_value());
  EXPECT_NEAR(ffn.fixed_ns, 8000, 10);  // of 108 us, 100 are the memory's
}

TEST(DecodeCosts, FasterThanTheChannel_theChannelIsAsFast) {
  const PlatformDescription fitted =
      Decode().op("hybridgen", OpKind::host_logits, 12e6, 120, 60e6, 520).costs();
  EXPECT_NEAR(fitted.channels[1].bandwidth_GBps, 120, 0.1);
  EXPECT_NEAR(kernel(fitted, 1, OpKind::host_logits).fixed_ns, 20'000, 10);
}

TEST(DecodeCosts, Select_byTheLogitsItScans) {
  Decode decode;
  const double items[] = {32.0 * (8192 - 1024), 32.0 * (32768 - 1024)};
  decode.op("hybridgen", OpKind::select, 0, 2 + items[0] / 8e3, 0, 2 + items[1] / 8e3);
  const auto select = kernel(decode.costs(), 1, OpKind::select);
  EXPECT_NEAR(select.fixed_ns, 2000, 5);
  EXPECT_NEAR(*select.scan_Gitems_per_s, 8, 0.01);
}

TEST(DecodeCosts, SystemsInOrder_theUndisturbedOneCounts) {
  Decode decode;
  decode.op("infinigen", OpKind::ffn, 300e6, 900, 300e6, 900)
      .op("full-gpu", OpKind::ffn, 300e6, 108, 300e6, 108);
  decode.op("quest", OpKind::attend_pages, 3e6, 11, 3e6, 11);
  const PlatformDescription fitted = decode.costs();
  EXPECT_NEAR(kernel(fitted, 0, OpKind::ffn).fixed_ns, 8000, 10);
  EXPECT_NEAR(kernel(fitted, 0, OpKind::attend_pages).fixed_ns, 10'000, 10);  // nobody else has it
}

TEST(DecodeCosts, Copies_bulkGivesTheRateSmallOnesTheFixedCost) {
  Decode decode;
  decode.op("flexgen", OpKind::load_kv, 40e6, 1000, 160e6, 4000);
  decode.op("hybridgen", OpKind::offload_kv, 4096, 8, 4096, 8)
      .op("hybridgen", OpKind::send_query, 16384, 4, 16384, 4);
  decode.add("full-gpu", "step time", 6, 7).add("full-gpu", "time between steps", 6.2, 7.1);
  const PlatformDescription fitted = decode.costs();
  EXPECT_NEAR(fitted.h2d.bandwidth_GBps, 40, 0.01);
  EXPECT_NEAR(fitted.h2d.fixed_ns, 0, 1);
  EXPECT_NEAR(fitted.d2h.fixed_ns, 6000, 1);
  EXPECT_NEAR(fitted.step_gap_ns, 150'000, 100);
}

TEST(DecodeCosts, NoDecodeRuns_theCardAsItWas) {
  const PlatformDescription same = with_decode_costs(card(), {}, {32, 1024});
  EXPECT_EQ(same.processors[0].kernels.size(), 1U);
  EXPECT_EQ(same.d2h.fixed_ns, 5000);
}

}  // namespace
}  // namespace hybridgen
