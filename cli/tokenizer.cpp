#include "cli/tokenizer.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "core/base/error.hpp"
#include "formats/search_path.hpp"

extern char** environ;

namespace hybridgen::cli {
namespace {

namespace fs = std::filesystem;

struct Environment {
  fs::path python;
  fs::path script;
};

Environment environment() {
  for (const fs::path& root : search_roots()) {
    Environment found{root / ".venv/bin/python", root / "formats/python/tokenize_text.py"};
    if (fs::exists(found.python) && fs::exists(found.script)) return found;
  }
  throw NotAvailable(
      "text needs the tokenizer environment, which is not there; run ./dev setup, or give token ids "
      "(a file *.ids)");
}

// A file of its own that is gone with the object.
class TemporaryFile {
 public:
  TemporaryFile() : path_((fs::temp_directory_path() / "hybridgen-XXXXXX").string()) {
    const int file = mkstemp(path_.data());
    if (file < 0) throw UserError(ExitCode::failed, path_ + ": cannot be made");
    close(file);
  }
  ~TemporaryFile() { unlink(path_.c_str()); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  const std::string& path() const { return path_; }
  std::string text() const {
    std::ifstream file(path_, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
  }

 private:
  std::string path_;
};

// Runs the script; what it printed on standard output is returned, on standard error is the message of a
// failure.
std::string run_script(std::vector<std::string> arguments) {
  const Environment python = environment();
  arguments.insert(arguments.begin(), {python.python.string(), python.script.string()});
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const TemporaryFile out;
  const TemporaryFile err;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, out.path().c_str(), O_WRONLY | O_TRUNC, 0600);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, err.path().c_str(), O_WRONLY | O_TRUNC, 0600);
  pid_t child = 0;
  const int failure = posix_spawn(&child, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  int status = 0;
  if (failure != 0 || waitpid(child, &status, 0) != child) {
    throw NotAvailable(python.python.string() + " cannot be started; run ./dev setup");
  }
  if (status != 0) throw BadInput("tokenizer: " + err.text());
  return out.text();
}

std::vector<std::int32_t> read_ids(const std::string& file) {
  std::ifstream stream(file, std::ios::binary);
  std::ostringstream buffer;
  buffer << stream.rdbuf();
  const std::string bytes = buffer.str();
  if (bytes.size() % 4 != 0) throw BadInput(file + ": not a whole number of 4-byte token ids");
  std::vector<std::int32_t> ids;
  for (std::size_t i = 0; i < bytes.size(); i += 4) {
    std::uint32_t id = 0;
    for (std::size_t b = 0; b < 4; ++b)
      id |= std::uint32_t{static_cast<unsigned char>(bytes[i + b])} << (8 * b);
    ids.push_back(static_cast<std::int32_t>(id));
  }
  return ids;
}

std::vector<std::int32_t> encode_file(const std::string& file, const std::string& model_folder) {
  if (!has_tokenizer(model_folder)) {
    throw BadInput(
        (fs::path(model_folder) / "tokenizer.json").string() +
        ": missing, and text cannot be read without it; complete the model folder, or give token ids "
        "(a file *.ids)");
  }
  const TemporaryFile encoded;
  run_script({"encode", "--model", model_folder, "--text", file, "--out", encoded.path()});
  return read_ids(encoded.path());
}

}  // namespace

bool has_tokenizer(const std::string& model_folder) {
  return fs::is_regular_file(fs::path(model_folder) / "tokenizer.json");
}

std::vector<std::int32_t> read_prompt(const std::string& file, const ModelFiles& model, std::int64_t limit) {
  if (!fs::is_regular_file(file)) throw BadInput("prompt_file " + file + ": no such file");
  std::vector<std::int32_t> ids;
  if (fs::path(file).extension() == ".ids") {
    ids = read_ids(file);
  } else {
    ids = encode_file(file, model.folder);
  }
  const auto have = static_cast<std::int64_t>(ids.size());
  if (have < limit) {
    throw BadInput("prompt_file " + file + " has " + std::to_string(have) + " tokens, " +
                   std::to_string(limit) + " are asked for; use a longer text or fewer prompt_tokens");
  }
  if (limit > 0) ids.resize(static_cast<std::size_t>(limit));
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] >= 0 && ids[i] < model.shape.vocab) continue;
    throw BadInput("prompt_file " + file + ": token " + std::to_string(i) + " is " + std::to_string(ids[i]) +
                   ", outside the vocabulary of " + std::to_string(model.shape.vocab) +
                   "; use ids that the model's own tokenizer made");
  }
  return ids;
}

std::vector<std::int32_t> encode_text(const std::string& text, const ModelFiles& model) {
  const TemporaryFile file;
  std::ofstream(file.path(), std::ios::binary) << text;
  return encode_file(file.path(), model.folder);
}

std::string decode_text(const std::vector<std::int32_t>& ids, const std::string& model_folder) {
  const TemporaryFile file;
  {
    std::ofstream stream(file.path(), std::ios::binary);
    for (const std::int32_t id : ids) {
      for (int b = 0; b < 4; ++b) stream.put(static_cast<char>(static_cast<std::uint32_t>(id) >> (8 * b)));
    }
  }
  return run_script({"decode", "--model", model_folder, "--ids", file.path()});
}

}  // namespace hybridgen::cli
