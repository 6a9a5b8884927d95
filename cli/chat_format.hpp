// How a chat model wants to be asked.
#pragma once

#include <string>

namespace hybridgen::cli {

// What stands before the user's words, between them and the answer, as text of special tokens. Empty strings
// where the model's tokenizer knows no such tokens: the text is continued as it is.
struct ChatFormat {
  std::string before_user;
  std::string before_answer;
};

// Of the tokenizer.json in the folder: ChatML, whose turns stand between <|im_start|> and <|im_end|>, where
// it has both tokens.
ChatFormat chat_format_of(const std::string& model_folder);

}  // namespace hybridgen::cli
