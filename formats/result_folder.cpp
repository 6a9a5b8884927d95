#include "formats/result_folder.hpp"

#include <fcntl.h>  // AT_FDCWD
#include <stdio.h>  // renameat2
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>

#include "core/base/error.hpp"
#include "formats/result_files.hpp"

namespace hybridgen {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const std::string& what) {
  throw UserError(ExitCode::failed, what);
}

// results/run/ and results/run are the same folder; the partial one must stand beside it.
fs::path plain_path(const std::string& folder) {
  fs::path path = fs::path(folder).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  return path;
}

bool is_result_folder(const fs::path& folder) {
  std::error_code code;
  return fs::is_directory(folder, code) && fs::is_regular_file(folder / "manifest.json", code);
}

void check_writable(const fs::path& folder) {
  std::error_code code;
  fs::path parent = fs::absolute(folder, code).parent_path();
  while (!fs::exists(parent, code) && parent.has_relative_path()) parent = parent.parent_path();
  if (!fs::is_directory(parent, code) || access(parent.c_str(), W_OK | X_OK) != 0) {
    throw BadInput("output folder " + folder.string() + ": cannot write in " + parent.string() +
                   "; choose another --out");
  }
}

void write_file(const fs::path& path, const std::string& text) {
  std::ofstream out(path, std::ios::binary);
  out.write(text.data(), static_cast<std::streamsize>(text.size()));
  out.close();
  if (!out) fail("cannot write " + path.string() + "; is the disk full?");
}

std::string now_utc() {
  const auto now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

void write_files(const fs::path& folder, const ResultContent& content) {
  const Machine& machine = content.platform.machine;
  write_file(folder / "experiment.yaml", to_yaml(content.experiment));
  write_file(folder / "platform.yaml", content.platform.text);
  write_file(folder / "summary.json", summary_json(content));
  write_file(folder / "steps.csv", steps_csv(machine, content.timeline));
  write_file(folder / "ops.csv", ops_csv(machine, content.timeline));
  write_file(folder / "outcomes.csv", outcomes_csv(content.timeline));
  write_file(folder / "requests.csv", requests_csv(content.experiment.workload(), content.timeline));
  write_file(folder / "decisions.jsonl", decisions_jsonl(content.timeline));
  write_file(folder / "trace.json", trace_json(machine, content.timeline));
  write_file(folder / "manifest.json", manifest_json(content, now_utc()));
}

// Where the file system can, old and new change places in one act: at no moment is there no result.
void replace(const fs::path& partial, const fs::path& folder) {
  if (!fs::exists(folder)) {
    fs::rename(partial, folder);
    return;
  }
  if (renameat2(AT_FDCWD, partial.c_str(), AT_FDCWD, folder.c_str(), RENAME_EXCHANGE) == 0) {
    fs::remove_all(partial);
    return;
  }
  const fs::path old = folder.string() + ".old-" + std::to_string(getpid());
  fs::rename(folder, old);
  fs::rename(partial, folder);
  fs::remove_all(old);
}

}  // namespace

void check_out_folder(const std::string& folder, bool force) {
  const fs::path path = plain_path(folder);
  if (!path.has_filename() || path == "." || path == "..") {
    throw BadInput("output folder '" + folder + "' names no folder; choose another --out");
  }
  std::error_code code;
  if (fs::symlink_status(path, code).type() != fs::file_type::not_found) {
    if (!is_result_folder(path) || fs::is_symlink(path, code)) {
      throw BadInput(
          "output folder " + path.string() +
          ": exists and is no result folder (no manifest.json), so it is not replaced; choose another "
          "--out");
    }
    if (!force) {
      throw BadInput("output folder " + path.string() +
                     ": exists; choose another --out, or replace it with --force");
    }
  }
  check_writable(path);
}

void write_result(const std::string& folder, bool force, const Experiment& experiment,
                  const Platform& platform, const ResultHeader& header, const Timeline& timeline) {
  check_out_folder(folder, force);
  const fs::path path = plain_path(folder);
  const fs::path partial = path.string() + ".partial-" + std::to_string(getpid());
  try {
    fs::remove_all(partial);  // of an earlier process that had this id
    fs::create_directories(partial);
    write_files(partial, {experiment, platform, header, timeline});
    replace(partial, path);
  } catch (const fs::filesystem_error& error) {
    std::error_code ignored;
    fs::remove_all(partial, ignored);
    fail(std::string("cannot write the result: ") + error.what());
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(partial, ignored);
    throw;
  }
}

}  // namespace hybridgen
