// hybridgen check: reads files as a run would, and says what is wrong with them.
#include <algorithm>
#include <iostream>

#include "cli/command.hpp"
#include "core/base/error.hpp"
#include "formats/check_file.hpp"

namespace hybridgen::cli {

int check_command(const std::vector<std::string>& arguments) {
  const bool help = std::any_of(arguments.begin(), arguments.end(), [](const std::string& argument) {
    return argument == "--help" || argument == "-h";
  });
  if (help || arguments.empty()) {
    (help ? std::cout : std::cerr)
        << "hybridgen check FILE...: check experiments, platforms, model shapes and Hugging Face folders.\n\n"
           "All errors of all files at once, each with file:line:col, key and remedy; exit status 2 if there "
           "are any.\n\n"
           "  hybridgen check configs/demo/*.yaml platform-models/*.yaml\n";
    return static_cast<int>(help ? ExitCode::done : ExitCode::bad_input);
  }
  ExitCode status = ExitCode::done;
  for (const std::string& file : arguments) {
    try {
      const std::string kind = check_file(file);
      std::cout << file << ": " << kind << ", fine\n";
    } catch (const BadInput& error) {
      std::cerr << error.what() << "\n";
      status = ExitCode::bad_input;
    }
  }
  return static_cast<int>(status);
}

}  // namespace hybridgen::cli
