// The file of hybridgen fit-locality: written and read again it is the same, and slips are named.
#include "formats/locality_file.hpp"

#include "tests/formats/support.hpp"

namespace hybridgen {
namespace {

Locality small_fit() {
  Locality fit;
  fit.model = "small: one";
  fit.layers = 2;
  fit.mean_rows = 1500;
  fit.persistence_permille = 220;
  fit.overlap = {{10'000, {500'000, 20'000}, {40, 50}, {7, 0}},
                 {50'000, {400'000, 30'000}, {30, 40}, {6, 0}}};
  fit.thresholds = {{2500, {60'000, 2'000}, {900, 1000}, {1500, 800}, {100, 500}, {1, 2}},
                    {4000, {1'280'000, 10'000}, {700, 800}, {1600, 900}, {50, 400}, {3, 4}}};
  return fit;
}

std::string small_text(const Locality& fit) {
  return locality_yaml(
      fit, {{"half", "GFDL-1.3", "hybridgen with select top-k, topk_ratio 0.5", "3 of 8", "abc"}}, "def");
}

class LocalityFile : public ::testing::Test {
 protected:
  std::string written(const std::string& text) {
    const std::string path = folder_ / "fit.yaml";
    spill(path, text);
    return path;
  }
  // Of the small fit with one place of its text changed, without the file's name.
  std::string complaint_about(const std::string& old, const std::string& now) {
    std::string text = small_text(small_fit());
    const std::size_t at = text.find(old);
    if (at == std::string::npos) return "no such text: " + old;
    const std::string path = written(text.replace(at, old.size(), now));
    std::string said = complaint([&] { read_locality(path); });
    if (said.rfind(path, 0) == 0) said.erase(0, path.size());
    return said;
  }

 private:
  TempFolder folder_;
};

TEST_F(LocalityFile, WrittenAndReadAgain_isTheSame) {
  Locality fit = small_fit();
  for (const std::optional<Ppm> end : {std::optional<Ppm>(), std::optional<Ppm>(3000)}) {
    fit.end_of_sequence = end;
    const std::string text = small_text(fit);
    EXPECT_EQ(small_text(read_locality(written(text))), text);
    EXPECT_EQ(read_locality(written(text)).end_of_sequence, end);
  }
  const Locality read = read_locality(written(small_text(small_fit())));
  EXPECT_EQ(read.model, "small: one");
  EXPECT_EQ(read.mean_rows, 1500);
  EXPECT_EQ(read.thresholds[1].growth_permille, (std::vector<std::int64_t>{700, 800}));
  EXPECT_EQ(read.persistence_permille, 220);
  EXPECT_EQ(read.overlap[1].correlation_ppm, (std::vector<Ppm>{400'000, 30'000}));
  EXPECT_EQ(read.thresholds[0].alpha_milli, 2500);
  EXPECT_EQ(read.thresholds[1].share_ppm, (std::vector<Ppm>{1'280'000, 10'000}));
  EXPECT_EQ(read.thresholds[0].sharpness_permille, (std::vector<std::int64_t>{1500, 800}));
  EXPECT_EQ(read.thresholds[1].request_permille, (std::vector<std::int64_t>{3, 4}));
}

TEST_F(LocalityFile, NamesTheRunsItIsFrom) {
  const std::string text = small_text(small_fit());
  for (const char* part : {"run: half", "text: GFDL-1.3", "topk_ratio 0.5", "commit: abc", "commit: def"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  }
}

TEST_F(LocalityFile, Slips_areNamedWithPlaceAndRemedy) {
  const auto says = [&](const std::string& old, const std::string& now, const std::string& what) {
    const std::string said = complaint_about(old, now);
    EXPECT_NE(said.find(what), std::string::npos) << now << ": " << said;
  };
  says("layers: 2", "layers: 3",
       "overlap[0].correlation_ppm: has 2 values; write one for each of the 3 layers");
  says("correlation_ppm: [500000", "correlation_ppm: [5000000",
       "5000000 is out of range; write one between 0 and 1000000");
  says("correlation_ppm: [500000", "correlation_ppm: [wide",
       "overlap[0].correlation_ppm[0]: expected an integer");
  says("share_ppm: 50000", "share_ppm: 10000", "overlap[1].share_ppm: does not grow");
  says("alpha_milli: 4000", "alpha_milli: 2500", "thresholds[1].alpha_milli: does not grow");
  says("    growth_permille", "    grow_permille", "did you mean growth_permille?");
  says("sharpness_permille: [1500", "sharpness_permille: [0",
       "0 is out of range; write one between 100 and 100000");
  says("mean_rows: 1500", "mean_rows: 0", "out of range");
  says("    text: GFDL-1.3\n", "", "fitted_on[0].text: missing");
}

TEST_F(LocalityFile, NothingFitted_isRefused) {
  Locality fit = small_fit();
  fit.overlap.clear();
  fit.thresholds.clear();
  const std::string path = written(small_text(fit));
  EXPECT_NE(complaint([&] { read_locality(path); }).find("nothing was fitted"), std::string::npos);
}

}  // namespace
}  // namespace hybridgen
