// The safetensors reader on good files and on every lie a header can tell.
#include "formats/safetensors.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "core/base/error.hpp"

namespace hybridgen {
namespace {

class Safetensors : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
    folder_ = std::filesystem::temp_directory_path() /
              ("hybridgen_" + std::string(info->name()) + "_" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string write(const std::string& name, const std::string& bytes) {
    const std::string path = (folder_ / name).string();
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }

  // A file with this header; its length may lie by `lie`.
  std::string write_tensors(const std::string& header, std::size_t data_bytes, std::int64_t lie = 0,
                            const std::string& name = "model.safetensors") {
    std::string bytes(8, '\0');
    const std::uint64_t length = header.size() + static_cast<std::uint64_t>(lie);
    for (int i = 0; i < 8; ++i) bytes[static_cast<std::size_t>(i)] = static_cast<char>(length >> (8 * i));
    bytes += header;
    for (std::size_t i = 0; i < data_bytes; ++i) bytes += static_cast<char>(i);
    return write(name, bytes);
  }

  // The message of the refusal; it must name the file.
  std::string refusal(const std::string& path) {
    try {
      SafetensorsFile file(path);
    } catch (const BadInput& error) {
      EXPECT_NE(std::string(error.what()).find(path), std::string::npos) << error.what();
      return error.what();
    }
    return "accepted";
  }

  void expect_refusal(const std::string& path, const std::string& text) {
    const std::string message = refusal(path);
    EXPECT_NE(message.find(text), std::string::npos) << message;
  }

  std::filesystem::path folder_;
};

TEST_F(Safetensors, GoodFile_givesTypesShapesAndBytes) {
  const SafetensorsFile file(write_tensors(R"({"__metadata__": {"format": "pt"},
      "b": {"dtype": "F32", "shape": [2, 1], "data_offsets": [6, 14]},
      "a": {"dtype": "BF16", "shape": [3], "data_offsets": [0, 6]},
      "scalar": {"dtype": "F16", "shape": [], "data_offsets": [14, 16]},
      "empty": {"dtype": "F16", "shape": [0, 5], "data_offsets": [3, 3]}})",
                                           16));
  ASSERT_EQ(file.tensors().size(), 4u);
  const SafetensorsTensor& b = file.tensors().at("b");
  EXPECT_EQ(b.type, SafetensorsType::f32);
  EXPECT_EQ(b.shape, (std::vector<std::int64_t>{2, 1}));
  EXPECT_EQ(b.bytes, 8);
  EXPECT_EQ(b.data[0], std::byte{6});
  EXPECT_EQ(file.tensors().at("scalar").bytes, 2);
  EXPECT_EQ(file.tensors().at("empty").bytes, 0);
}

TEST_F(Safetensors, TensorsOfACopy_outliveTheOriginal) {
  std::vector<SafetensorsFile> kept;
  {
    const SafetensorsFile file(
        write_tensors(R"({"a": {"dtype": "F16", "shape": [2], "data_offsets": [0, 4]}})", 4));
    kept.push_back(file);
  }
  EXPECT_EQ(kept[0].tensors().at("a").data[3], std::byte{3});
}

TEST_F(Safetensors, MissingFile_isRefused) {
  expect_refusal((folder_ / "none").string(), "No such file");
}

TEST_F(Safetensors, Folder_isNoFile) {
  expect_refusal(folder_.string(), "not a regular file");
}

TEST_F(Safetensors, FewerThanEightBytes_isRefused) {
  expect_refusal(write("short", "1234567"), "7 bytes");
}

TEST_F(Safetensors, HeaderLongerThanTheFile_isRefused) {
  expect_refusal(write_tensors("{}", 3, 4), "a header of 6 bytes does not fit this file of 13 bytes");
  expect_refusal(write_tensors("{}", 0, 1'000'000'000), "does not fit");
  expect_refusal(write_tensors("{}", 0, -3), "does not fit");  // 2^64 - 1
}

TEST_F(Safetensors, HeaderCutShort_isRefused) {
  expect_refusal(write_tensors(R"({"a": {"dtype": "F16"}})", 0, -2), "not a JSON object");
  expect_refusal(write_tensors("[]", 0), "not a JSON object");
}

TEST_F(Safetensors, DataCutShort_namesTheTensorAndAsksForTheDownload) {
  const std::string path =
      write_tensors(R"({"a": {"dtype": "F16", "shape": [4], "data_offsets": [0, 8]}})", 7);
  expect_refusal(path, "a: data_offsets [0, 8) lie outside the 7 bytes of data; is the download complete?");
}

TEST_F(Safetensors, DataCutShortOfManyTensors_isSaidOnce) {
  const std::string path = write_tensors(
      R"({"a": {"dtype": "F16", "shape": [4], "data_offsets": [0, 8]},
          "b": {"dtype": "F16", "shape": [4], "data_offsets": [8, 16]},
          "c": {"dtype": "F16", "shape": [4], "data_offsets": [16, 24]}})",
      9);
  expect_refusal(path,
                 path + ": has 9 bytes of data, but its header speaks of 24; is the download complete?");
}

TEST_F(Safetensors, OffsetsBackwards_areRefused) {
  expect_refusal(write_tensors(R"({"a": {"dtype": "F16", "shape": [0], "data_offsets": [4, 2]}})", 8),
                 "outside");
}

TEST_F(Safetensors, OffsetsNegativeOrFractional_areRefused) {
  for (const char* offsets : {"[-2, 2]", "[0.0, 4.0]", "[0, 4, 8]", "[0, 99999999999999999999]", "4"}) {
    expect_refusal(
        write_tensors(
            R"({"a": {"dtype": "F16", "shape": [2], "data_offsets": )" + std::string(offsets) + "}}", 8),
        "a: data_offsets is not [begin, end]");
  }
}

TEST_F(Safetensors, ShapeThatDoesNotMakeTheBytes_isRefused) {
  expect_refusal(write_tensors(R"({"a": {"dtype": "F16", "shape": [3], "data_offsets": [0, 8]}})", 8),
                 "shape and dtype do not make 8 bytes");
  expect_refusal(
      write_tensors(R"({"a": {"dtype": "F16", "shape": [4294967296, 4294967296], "data_offsets": [0, 0]}})",
                    8),
      "shape and dtype do not make 0 bytes");  // the product overflows
}

TEST_F(Safetensors, WrongDtype_listsTheSupportedOnes) {
  expect_refusal(write_tensors(R"({"a": {"dtype": "I64", "shape": [1], "data_offsets": [0, 8]}})", 8),
                 "a: dtype I64 is not supported (F16, BF16 and F32 are)");
  expect_refusal(write_tensors(R"({"a": {"shape": [1], "data_offsets": [0, 8]}})", 8), "a: dtype is missing");
}

TEST_F(Safetensors, OverlappingTensors_areRefused) {
  expect_refusal(write_tensors(R"({"a": {"dtype": "F16", "shape": [2], "data_offsets": [0, 4]},
                                   "b": {"dtype": "F16", "shape": [2], "data_offsets": [2, 6]}})",
                               8),
                 "b: overlaps a");
}

TEST_F(Safetensors, SameNameTwice_isRefused) {
  expect_refusal(write_tensors(R"({"a": {"dtype": "F16", "shape": [2], "data_offsets": [0, 4]},
                                   "a": {"dtype": "F16", "shape": [2], "data_offsets": [4, 8]}})",
                               8),
                 "names a twice");
}

TEST_F(Safetensors, SeveralFaults_areAllNamedAtOnce) {
  const std::string message = refusal(write_tensors(R"({"a": 5, "b": {"dtype": "Q4"}})", 8));
  EXPECT_NE(message.find("a: not an object"), std::string::npos) << message;
  EXPECT_NE(message.find("b: dtype Q4"), std::string::npos) << message;
}

TEST_F(Safetensors, FolderOfParts_findsTensorsInEach) {
  write_tensors(R"({"a": {"dtype": "F16", "shape": [2], "data_offsets": [0, 4]}})", 4, 0,
                "part-1.safetensors");
  write_tensors(R"({"b": {"dtype": "F16", "shape": [1], "data_offsets": [0, 2]}})", 2, 0,
                "part-2.safetensors");
  write("model.safetensors.index.json",
        R"({"weight_map": {"a": "part-1.safetensors", "b": "part-2.safetensors"}})");
  const SafetensorsFolder folder(folder_.string());
  EXPECT_EQ(folder.size(), 2u);
  ASSERT_NE(folder.find("b"), nullptr);
  EXPECT_EQ(folder.find("b")->bytes, 2);
  EXPECT_EQ(folder.find("c"), nullptr);
}

TEST_F(Safetensors, FolderWithoutWeights_isRefused) {
  EXPECT_THROW(SafetensorsFolder{folder_.string()}, BadInput);
  write("model.safetensors.index.json", R"({"weight_map": {"a": "../outside.safetensors"}})");
  EXPECT_THROW(SafetensorsFolder{folder_.string()}, BadInput);
}

}  // namespace
}  // namespace hybridgen
