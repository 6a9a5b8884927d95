// The skew beside a model's weights: what is written is read, and what belongs to another model is refused.
#include "formats/skew_file.hpp"

#include "core/base/error.hpp"
#include "tests/formats/support.hpp"

namespace hybridgen {
namespace {

ModelShape shape(int layers) {
  ModelShape shape;
  shape.name = "m";
  shape.layers = layers;
  shape.kv_heads = 2;
  shape.head_dim = 4;
  return shape;
}

std::vector<float> some_skew(int layers) {
  std::vector<float> skew;
  for (int i = 0; i < layers * 2 * 4 * 4; ++i) skew.push_back(static_cast<float>(i) / 8);
  return skew;
}

TEST(SkewFile, Written_isReadBack) {
  const TempFolder folder;
  EXPECT_EQ(read_skew(folder / "", shape(3)), std::nullopt);
  write_skew(skew_path(folder / ""), shape(3), some_skew(3));
  EXPECT_EQ(read_skew(folder / "", shape(3)), some_skew(3));
}

TEST(SkewFile, OfAnotherModel_isRefusedByName) {
  const TempFolder folder;
  write_skew(skew_path(folder / ""), shape(3), some_skew(3));
  const std::string text = complaint([&] { read_skew(folder / "", shape(2)); });
  EXPECT_NE(text.find("skew.safetensors"), std::string::npos) << text;
  EXPECT_NE(text.find("hybridgen fit-skew"), std::string::npos) << text;
}

TEST(SkewFile, FolderThatIsNotThere_cannotBeWritten) {
  EXPECT_THROW(write_skew("/nonexistent/skew.safetensors", shape(1), some_skew(1)), UserError);
}

}  // namespace
}  // namespace hybridgen
