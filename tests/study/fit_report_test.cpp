#include "study/fit_report.hpp"

#include <gtest/gtest.h>

#include "core/base/error.hpp"
#include "formats/experiment_model.hpp"
#include "formats/platform.hpp"
#include "tests/support/source_path.hpp"

namespace hybridgen {
namespace {

class Fit : public testing::Test {
 protected:
  FitReport report(const std::string& policy, const Overrides& overrides) const {
    const std::string path = source_path("configs/h100/" + policy + ".yaml");
    const Experiment experiment = load_experiment(path, overrides);
    const Platform platform = load_platform(find_platform(experiment.platform));
    return fit_report(experiment, platform.machine, find_model_for(experiment).shape);
  }
  // "key: value" as an override.
  static Override override_of(const std::string& line, std::int64_t more = 0) {
    const std::size_t colon = line.find(": ");
    std::string value = line.substr(colon + 2);
    if (more != 0) value = std::to_string(std::stoll(value) + more);
    return {line.substr(0, colon), value};
  }
};

TEST_F(Fit, needs_are_the_plans_by_purpose) {
  const FitReport fits = report("full-gpu", {});
  EXPECT_TRUE(fits.fits());
  EXPECT_TRUE(fits.what_would_fit.empty());
  const TierNeed& hbm = fits.tiers.at(0);
  Bytes sum = 0, activations = 0;
  for (const Reservation& r : hbm.parts) {
    sum += r.bytes;
    if (r.purpose == Purpose::activations) activations += r.bytes;
  }
  EXPECT_EQ(sum, hbm.needed);
  // Llama-3.1-8B, 32768 query tokens in fp32: 4096 + 6144 + 4096 + 128; a tile's 4096 tokens: 2 x 4096 +
  // 2 x 14336; 128256 logits.
  EXPECT_EQ(activations, 4LL * (32768 * 14464LL + 4096 * 36864LL + 128256));
  require_fit(fits);
}

// Every number that is offered fits, and the next larger one does not.
TEST_F(Fit, what_would_fit_fits_and_nothing_larger_does) {
  const Overrides large = {{"workload.batch", "64"}};
  const FitReport refused = report("full-gpu", large);
  ASSERT_FALSE(refused.fits());
  int numbers = 0;
  for (const std::string& line : refused.what_would_fit) {
    Overrides changed = large;
    changed.push_back(override_of(line));
    EXPECT_TRUE(report("full-gpu", changed).fits()) << line;
    if (line.starts_with("policy.preset")) continue;
    changed.back() = override_of(line, 1);
    EXPECT_FALSE(report("full-gpu", changed).fits()) << line;
    ++numbers;
  }
  EXPECT_EQ(numbers, 2);
  EXPECT_THROW(require_fit(refused), DoesNotFit);
}

TEST_F(Fit, another_tier_is_offered_where_it_has_room) {
  // 512 GiB of DRAM and 256 GiB of CXL hold 600 of 1 GiB only if the half of each is not all in CXL.
  const FitReport refused = report("hybridgen", {{"policy.placement", "semantic"},
                                                 {"policy.device_kv_tokens", "64"},
                                                 {"workload.prompt_tokens", "8192"},
                                                 {"workload.batch", "600"}});
  ASSERT_FALSE(refused.fits());
  const auto& lines = refused.what_would_fit;
  for (const char* placement : {"unified", "tier-order"}) {
    EXPECT_EQ(std::count(lines.begin(), lines.end(), std::string("policy.placement: ") + placement), 1)
        << to_text(refused);
  }
  for (const char* placement : {"k-in-cxl", "interleave"}) {
    EXPECT_EQ(std::count(lines.begin(), lines.end(), std::string("policy.placement: ") + placement), 0)
        << to_text(refused);
  }
}

// 16 requests of 32,768 tokens: 64 GiB of K and V in fp16, beside 15 of weights on a card of 80.
TEST_F(Fit, narrower_kv_is_offered_where_it_fits) {
  const auto offered = [&](const Overrides& overrides, const char* dtype) {
    const FitReport refused = report("full-gpu", overrides);
    EXPECT_FALSE(refused.fits());
    const auto& lines = refused.what_would_fit;
    return std::count(lines.begin(), lines.end(), std::string("policy.kv_dtype: ") + dtype);
  };
  EXPECT_EQ(offered({{"workload.batch", "16"}}, "int8"), 1);
  EXPECT_EQ(offered({{"workload.batch", "64"}}, "int8"), 0);
  EXPECT_EQ(offered({{"workload.batch", "8"}, {"policy.kv_dtype", "fp32"}}, "fp16"), 1);
  EXPECT_EQ(offered({{"workload.batch", "16"}, {"policy.kv_dtype", "fp32"}}, "fp16"), 0);
  EXPECT_TRUE(report("full-gpu", {{"workload.batch", "16"}, {"policy.kv_dtype", "int8"}}).fits());
}

TEST_F(Fit, weights_that_never_fit_say_so) {
  const FitReport refused = report("hybridgen", {{"model", "qwen2.5-72b"}});
  EXPECT_TRUE(refused.what_would_fit.empty());
  EXPECT_NE(to_text(refused).find("use a smaller model or a larger platform"), std::string::npos);
}

}  // namespace
}  // namespace hybridgen
