#include "cli/chat_format.hpp"

#include <filesystem>
#include <fstream>
#include <sstream>

namespace hybridgen::cli {

ChatFormat chat_format_of(const std::string& model_folder) {
  std::ifstream file(std::filesystem::path(model_folder) / "tokenizer.json", std::ios::binary);
  std::ostringstream buffer;
  buffer << file.rdbuf();
  const std::string text = buffer.str();
  for (const char* token : {"\"<|im_start|>\"", "\"<|im_end|>\""}) {
    if (text.find(token) == std::string::npos) return {};
  }
  return {"<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n"};
}

}  // namespace hybridgen::cli
