// config.json of a Hugging Face model folder -> ModelShape, for LlamaForCausalLM, Qwen2ForCausalLM,
// Qwen3ForCausalLM and OPTForCausalLM. What the kernels do not compute is refused by name, and so is every
// key that is not known to be harmless (formats/hf_keys.hpp): no model runs with silently wrong numbers.
// Called when an experiment names a model folder; throws BadInput with all errors of the file at once.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/machine/model_shape.hpp"

namespace hybridgen {

// `path` is the config.json itself. The shape's name is the folder's name.
ModelShape read_hf_config(const std::string& path);

// The same from text; `path` is for messages only.
ModelShape parse_hf_config(const std::string& text, const std::string& path, const std::string& name);

// The tokens that end a sequence (eos_token_id: an integer or a list); none where the key is absent. Throws
// BadInput.
std::vector<std::int32_t> read_end_tokens(const std::string& path);

}  // namespace hybridgen
