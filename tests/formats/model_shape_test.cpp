#include <map>

#include "core/residency/kv_dtype.hpp"
#include "formats/experiment_model.hpp"
#include "formats/experiment_reader.hpp"
#include "formats/hf_config.hpp"
#include "tests/formats/support.hpp"

namespace hybridgen {
namespace {

ModelShape shipped_shape(const std::string& name) {
  const std::string path = source_path("configs/models/" + name + ".yaml");
  return read_model_yaml(slurp(path), path);
}

TEST(Model, shipped_shapes_count_their_published_parameters) {
  const auto shape = shipped_shape;
  EXPECT_EQ(shape("smollm2-135m-instruct").parameters(), 134'515'008);
  EXPECT_EQ(shape("llama-3.1-8b").parameters(), 8'030'261'248);
  EXPECT_EQ(kv_row_bytes(shape("llama-3.1-8b"), KvDtype::f16) * 2 * 32, 128 << 10);
}

// The elements that the models' published weight files hold, and KiB of KV per token at 16 bits.
TEST(Model, the_eleven_sizes_count_their_published_parameters) {
  struct Published {
    std::int64_t parameters;
    Bytes kv_kib;
  };
  const std::map<std::string, Published> sizes = {
      {"opt-6.7b", {6'658'473'984, 512}},     {"opt-13b", {12'853'473'280, 800}},
      {"opt-30b", {29'974'540'288, 1344}},    {"opt-66b", {65'719'701'504, 2304}},
      {"llama-2-7b", {6'738'415'616, 512}},   {"llama-2-13b", {13'015'864'320, 800}},
      {"llama-2-70b", {68'976'648'192, 320}}, {"qwen2.5-7b", {7'615'616'512, 56}},
      {"qwen2.5-14b", {14'770'033'664, 192}}, {"qwen2.5-32b", {32'763'876'352, 256}},
      {"qwen2.5-72b", {72'706'203'648, 320}},
  };
  EXPECT_EQ(sizes.size(), 11U);
  for (const auto& [name, published] : sizes) {
    const ModelShape shape = shipped_shape(name);
    EXPECT_EQ(shape.name, name);
    EXPECT_EQ(shape.parameters(), published.parameters) << name;
    EXPECT_EQ(kv_row_bytes(shape, KvDtype::f16) * 2 * shape.layers, published.kv_kib << 10) << name;
  }
}

// Parameters alone would not tell 32 heads of 128 from 64 of 64, nor a gated FFN from a wider one.
TEST(Model, shipped_shapes_equal_the_published_config) {
  for (const char* name : {"opt-6.7b", "llama-2-7b", "llama-3.1-8b", "qwen2.5-7b"}) {
    const ModelShape shape = shipped_shape(name);
    const std::string path = source_path("tests/golden/configs/" + std::string(name) + ".json");
    const ModelShape published = parse_hf_config(slurp(path), path, name);
    EXPECT_EQ(shape.blocks.family, published.blocks.family) << name;
    EXPECT_EQ(shape.layers, published.layers) << name;
    EXPECT_EQ(shape.hidden, published.hidden) << name;
    EXPECT_EQ(shape.query_heads, published.query_heads) << name;
    EXPECT_EQ(shape.kv_heads, published.kv_heads) << name;
    EXPECT_EQ(shape.head_dim, published.head_dim) << name;
    EXPECT_EQ(shape.ffn, published.ffn) << name;
    EXPECT_EQ(shape.vocab, published.vocab) << name;
    EXPECT_EQ(shape.max_context, published.max_context) << name;
    EXPECT_EQ(shape.rope_theta, published.rope_theta) << name;
    EXPECT_EQ(shape.norm_eps, published.norm_eps) << name;
    EXPECT_EQ(shape.tied_embeddings, published.tied_embeddings) << name;
  }
}

Experiment h100_experiment(const Overrides& overrides) {
  return read_experiment(slurp(source_path("configs/h100/full-gpu.yaml")), "e.yaml", overrides);
}

TEST(Model, context_beyond_the_published_is_refused_with_its_place) {
  EXPECT_EQ(complaint([] {
              find_model_for(h100_experiment({{"model", "opt-6.7b"}}));
            }),
            "e.yaml:10:18: workload.prompt_tokens: with new_tokens the context reaches 32831 tokens, but "
            "opt-6.7b goes up to 2048; use a shorter prompt, or for a simulation alone assume_max_context: "
            "32831");
  EXPECT_EQ(complaint([] {
              find_model_for(h100_experiment({{"model", "opt-6.7b"}, {"workload.prompt_tokens", "2000"}}));
            }),
            "--set workload.prompt_tokens=2000: workload.prompt_tokens: with new_tokens the context reaches "
            "2063 tokens, but opt-6.7b goes up to 2048; use a shorter prompt, or for a simulation alone "
            "assume_max_context: 2063");
  EXPECT_EQ(stretch_note(
                find_model_for(h100_experiment({{"model", "opt-6.7b"}, {"workload.prompt_tokens", "1985"}}))),
            "");
}

TEST(Model, assumed_context_stretches_the_shape_and_says_so) {
  const Experiment assumed = h100_experiment({{"model", "opt-6.7b"}, {"assume_max_context", "32831"}});
  const ModelFiles opt = find_model_for(assumed);
  EXPECT_EQ(opt.shape.max_context, 32831);
  // Its learned positions become rows of the table.
  EXPECT_EQ(opt.shape.parameters(), 6'658'473'984 + (32831 - 2048) * 4096LL);
  EXPECT_NE(stretch_note(opt).find("made for 2048 tokens"), std::string::npos) << stretch_note(opt);
  const ModelFiles llama = find_model_for(h100_experiment({{"assume_max_context", "32831"}}));
  EXPECT_EQ(llama.shape.max_context, 131072);  // at least, not exactly
  EXPECT_EQ(stretch_note(llama), "");
  EXPECT_EQ(complaint([&] { refuse_assumed_context(assumed); }),
            "--set assume_max_context=32831: assume_max_context: real weights know no longer context than "
            "they were made for; remove it, or simulate");
  EXPECT_EQ(read_experiment(to_yaml(assumed), "again.yaml").assume_max_context, 32831);
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
