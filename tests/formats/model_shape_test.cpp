#include "formats/model.hpp"
#include "tests/formats/support.hpp"

namespace hybridgen {
namespace {

TEST(Model, shipped_shapes_count_their_published_parameters) {
  const auto shape = [](const std::string& name) {
    const std::string path = source_path("configs/models/" + name + ".yaml");
    return read_model_yaml(slurp(path), path);
  };
  EXPECT_EQ(shape("smollm2-135m-instruct").parameters(), 134'515'008);
  EXPECT_EQ(shape("llama-3.1-8b").parameters(), 8'030'261'248);
  EXPECT_EQ(shape("llama-3.1-8b").kv_row_bytes(2) * 2 * 32, 128 << 10);
}

TEST(Model, folder_with_weights_comes_before_the_shape) {
  TempFolder temp;
  const std::string config =
      R"({"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
          "num_hidden_layers": 2, "hidden_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2,
          "head_dim": 16, "intermediate_size": 128, "vocab_size": 100, "max_position_embeddings": 256,
          "rope_theta": 10000.0, "rms_norm_eps": 1e-5, "tie_word_embeddings": true, "torch_dtype": "float16"})";
  std::filesystem::create_directories(temp / "models/llama-3.1-8b");
  spill(temp / "models/llama-3.1-8b/config.json", config);
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(temp / "");
  const ModelFiles found = find_model("llama-3.1-8b");
  const ModelFiles by_path = find_model("./models/llama-3.1-8b");
  std::filesystem::current_path(before);
  EXPECT_EQ(found.shape.layers, 2);
  EXPECT_EQ(found.folder, "models/llama-3.1-8b");
  EXPECT_EQ(by_path.shape.layers, 2);
}

TEST(Model, unknown_name_lists_what_there_is) {
  const std::string message = complaint([] { find_model("llama-3.1-8"); });
  EXPECT_NE(message.find("did you mean llama-3.1-8b? (valid: "), std::string::npos) << message;
  EXPECT_EQ(complaint([] { find_model("./nowhere"); }),
            "model ./nowhere: neither a folder with config.json nor a YAML file; check the path");
}

TEST(Model, family_says_what_a_shape_consists_of) {
  const std::string path = source_path("configs/models/llama-3.1-8b.yaml");
  const auto as = [&](const std::string& family) {
    return edited(slurp(path), "family: llama", "family: " + family);
  };
  const std::int64_t llama = read_model_yaml(as("llama"), "m.yaml").parameters();
  // q, k and v have 4096 + 2 x 1024 rows; heads are 128 wide; 32 layers.
  EXPECT_EQ(read_model_yaml(as("qwen2"), "m.yaml").parameters(), llama + 32 * (4096 + 2 * 1024));
  EXPECT_EQ(read_model_yaml(as("qwen3"), "m.yaml").parameters(), llama + 32 * 2 * 128);
  const std::string opt = edited(as("opt"), "rope_theta: 500000\n", "");
  EXPECT_EQ(read_model_yaml(opt, "m.yaml").position_rows(), 131072 + 2);
  EXPECT_NE(complaint([&] { read_model_yaml(as("opt"), "m.yaml"); }).find("rope_theta: this family learns"),
            std::string::npos);
  EXPECT_NE(
      complaint([&] { read_model_yaml(as("gpt"), "m.yaml"); }).find("(valid: llama, qwen2, qwen3, opt)"),
      std::string::npos)
      << complaint([&] { read_model_yaml(as("gpt"), "m.yaml"); });
}

TEST(Model, heads_that_do_not_divide_are_refused) {
  const std::string path = source_path("configs/models/llama-3.1-8b.yaml");
  const std::string message =
      complaint([&] { read_model_yaml(edited(slurp(path), "kv_heads: 8", "kv_heads: 5"), "m.yaml"); });
  EXPECT_EQ(message, "m.yaml:8:11: kv_heads: 32 query heads cannot share 5 KV heads evenly; write a divisor");
}

}  // namespace
}  // namespace hybridgen
