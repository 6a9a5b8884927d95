// Text to token ids and back, at the edge of the program: by the project's Python environment, which has the
// tokenizer library that made the model's tokens. The rest of the program knows ids only.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "formats/model.hpp"

namespace hybridgen::cli {

// Whether text and ids of this model can be turned into each other.
bool has_tokenizer(const std::string& model_folder);

// The first `limit` ids of the file (0: all). *.ids is read as little-endian int32, anything else as text.
// BadInput where the file or the model's tokenizer is missing, the file is shorter than asked for, or holds
// an id outside the model's vocabulary; NotAvailable where the environment is missing.
std::vector<std::int32_t> read_prompt(const std::string& file, const ModelFiles& model, std::int64_t limit);
// A text's ids, as read_prompt reads a file's.
std::vector<std::int32_t> encode_text(const std::string& text, const ModelFiles& model);
std::string decode_text(const std::vector<std::int32_t>& ids, const std::string& model_folder);

}  // namespace hybridgen::cli
