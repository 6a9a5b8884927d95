// lookahead.safetensors: written, read back, and refused where it belongs to another model.
#include "formats/lookahead_file.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "core/base/error.hpp"
#include "formats/safetensors.hpp"

namespace hybridgen {
namespace {

class LookaheadFile : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("hybridgen_lookahead_" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder_);
    shape_.name = "three-layers";
    shape_.layers = 3;
    shape_.hidden = 8;
    shape_.query_heads = 3;
    shape_.kv_heads = 1;
    shape_.head_dim = 4;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string path() const { return (folder_ / kLookaheadFile).string(); }
  void write(std::int64_t rank) {
    const std::vector<std::byte> zeros(static_cast<std::size_t>(2 * rank * 12));
    std::vector<LookaheadLayer> layers(3);
    for (std::size_t i = 0; i < layers.size(); ++i) {
      const auto base = static_cast<double>(100 * i);
      layers[i] = {zeros.data(), zeros.data(), {0.5, 0.9}, {{{base + 1, base + 2}, {base + 3, base + 4}}}};
    }
    write_lookahead(path(), shape_, rank, 0.25F, layers, {{"text", "none"}});
  }
  std::string refusal() {
    try {
      read_query_predictor(folder_.string(), shape_);
    } catch (const BadInput& error) {
      return error.what();
    }
    return "accepted";
  }

  std::filesystem::path folder_;
  ModelShape shape_;
};

TEST_F(LookaheadFile, NoFile_nothingFitted) {
  EXPECT_FALSE(read_query_predictor(folder_.string(), shape_).present());
}

TEST_F(LookaheadFile, Written_readBack) {
  write(2);
  const QueryPredictor predictor = read_query_predictor(folder_.string(), shape_);
  EXPECT_EQ(predictor.rank, 2);
  EXPECT_EQ(predictor.error_permille[0][0], (std::vector<std::int64_t>{1, 101, 201}));
  EXPECT_EQ(predictor.error_permille[0][1], (std::vector<std::int64_t>{2, 102, 202}));
  EXPECT_EQ(predictor.error_permille[1][0], (std::vector<std::int64_t>{3, 103, 203}));
  EXPECT_EQ(predictor.error_permille[1][1], (std::vector<std::int64_t>{4, 104, 204}));
  const SafetensorsFile file(path());
  EXPECT_EQ(file.tensors().at("layers.2.up").shape, (std::vector<std::int64_t>{12, 2}));
  EXPECT_FALSE(file.tensors().contains("layers.0.up"));
}

TEST_F(LookaheadFile, OtherModel_oneErrorWithRemedy) {
  write(2);
  shape_.hidden = 6;
  const std::string wider = refusal();
  EXPECT_NE(wider.find(path() + ": does not belong to three-layers"), std::string::npos) << wider;
  EXPECT_NE(wider.find("layers.1.down"), std::string::npos) << wider;
  EXPECT_NE(wider.find("fit-lookahead"), std::string::npos) << wider;
  shape_.hidden = 8;
  shape_.layers = 4;
  EXPECT_NE(refusal().find("layers.3.down: missing"), std::string::npos) << refusal();
}

}  // namespace
}  // namespace hybridgen
