// skew.safetensors: written, read back, and refused where it belongs to another model.
#include "formats/skew_file.hpp"

#include <gtest/gtest.h>

#include "core/base/error.hpp"
#include "tests/formats/support.hpp"

namespace hybridgen {
namespace {

ModelShape shape_of(int layers, int head_dim) {
  ModelShape shape;
  shape.name = "small";
  shape.layers = layers;
  shape.kv_heads = 2;
  shape.head_dim = head_dim;
  return shape;
}

// Every element is its own.
Skew some_skew(int layers) {
  Skew skew;
  for (int layer = 0; layer < layers; ++layer) {
    std::vector<float>& columns = skew.layers.emplace_back();
    for (int i = 0; i < 2 * 4 * 4; ++i) columns.push_back(static_cast<float>(100 * layer + i) / 8);
  }
  skew.q_rms = 0.25F;
  return skew;
}

TEST(SkewFile, NoFile_nothingFitted) {
  const TempFolder folder;
  EXPECT_FALSE(read_skew(folder / "", shape_of(3, 4)));
}

TEST(SkewFile, Written_readBack) {
  const TempFolder folder;
  write_skew(folder / kSkewFile, shape_of(3, 4), some_skew(3), {{"text", "none"}});
  const auto skew = read_skew(folder / "", shape_of(3, 4));
  ASSERT_TRUE(skew);
  EXPECT_EQ(skew->layers, some_skew(3).layers);
  EXPECT_EQ(skew->q_rms, 0.25F);
}

TEST(SkewFile, OfAnotherShape_refusedWithEveryTensorAndTheRemedy) {
  const TempFolder folder;
  write_skew(folder / kSkewFile, shape_of(2, 4), some_skew(2), {});
  const std::string more_layers = complaint([&] { read_skew(folder / "", shape_of(3, 4)); });
  EXPECT_NE(more_layers.find("skew.safetensors: does not belong to small:\n  layers.2.skew: missing\n"),
            std::string::npos)
      << more_layers;
  EXPECT_NE(more_layers.find("remove the file, and run `hybridgen fit-skew`"), std::string::npos)
      << more_layers;
  const std::string wider = complaint([&] { read_skew(folder / "", shape_of(2, 8)); });
  for (const char* name : {"layers.0.skew", "layers.1.skew"}) {
    EXPECT_NE(wider.find(std::string(name) + ": not of the type and shape that small needs"),
              std::string::npos)
        << wider;
  }
}

}  // namespace
}  // namespace hybridgen
