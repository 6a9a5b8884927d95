#!/usr/bin/env python3
"""The structure checks are checked: each must find a fault put in, name it, and pass what is clean."""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
CXX = os.environ.get("CXX", "g++")

# A tree that keeps every rule, one or more files per room.
CLEAN_TREE = {
    "core/base/ids.hpp": "#include <cstdint>\n",
    "core/machine/tier.hpp": '#include "core/base/ids.hpp"\n#include <vector>\n',
    "core/residency/residency.hpp": '#include "core/machine/tier.hpp"\n',
    "core/step/op.hpp": '#include "core/residency/residency.hpp"\n#include "core/base/ids.hpp"\n',
    "core/policy/estimator.hpp": "",
    "core/policy/policy.hpp": '#include "core/step/op.hpp"\n',
    "core/policy/parts/select_all.hpp": '#include "core/policy/policy.hpp"\n',
    "core/policy/parts/select_all.cpp": '#include "core/policy/parts/select_all.hpp"\n',
    "core/policy/parts/evict.hpp": "",
    "core/policy/registry.cpp": '#include "core/policy/parts/evict.hpp"\n',
    "core/policy/presets.cpp": '#include "core/policy/parts/evict.hpp"\n',
    "core/executor/executor.hpp": '#include "core/step/op.hpp"\n',
    "core/driver/driver.hpp": '#include "core/policy/policy.hpp"\n#include "core/executor/executor.hpp"\n',
    "formats/yaml.cpp": '#include <yaml-cpp/yaml.h>\n#include <nlohmann/json.hpp>\n#include "core/machine/tier.hpp"\n',
    "runtime/lane.cpp": '#include <thread>\n#include <numa.h>\n#include <hwloc.h>\n#include <dnnl.hpp>\n#include "core/step/op.hpp"\n',
    "runtime/kernels/attend.inl": "#include <immintrin.h>\n",
    "runtime/kernels/attend.cpp": '#include "attend.inl"\n',
    "runtime/cuda/device.cu": '#include <cuda_runtime.h>\n#include <cublas_v2.h>\n#include "runtime/kernels/attend.inl"\n',
    "sim/world/model.hpp": '#include "core/step/op.hpp"\n#include <random>\n',
    "sim/fluid/executor.hpp": '#include "sim/world/model.hpp"\n',
    "sim/simgrid/executor.cpp": '#include <simgrid/s4u.hpp>\n#include "sim/world/model.hpp"\n',
    "study/sweep.cpp": '#include <thread>\n#include "formats/yaml.hpp"\n#include "core/driver/driver.hpp"\n',
    "cli/main.cpp": '#include <boost/program_options.hpp>\n#include "study/sweep.hpp"\n#include "sim/fluid/executor.hpp"\n'
    '#include "runtime/lane.hpp"\n',
}

# file, the line put in, what the message must say of it
FORBIDDEN_INCLUDES = [
    ("core/base/ids.hpp", '#include "core/machine/tier.hpp"', "core/base may include"),
    ("core/machine/tier.hpp", '#include "core/residency/residency.hpp"', "core/machine may include"),
    ("core/residency/residency.hpp", '#include "core/step/op.hpp"', "core/residency may include"),
    ("core/step/op.hpp", '#include "core/policy/policy.hpp"', "core/step may include"),
    ("core/step/op.hpp", '#include "../policy/policy.hpp"', "core/step may include"),
    ("core/policy/policy.hpp", '#include "core/executor/executor.hpp"', "core/policy may include"),
    ("core/policy/policy.hpp", '#include "core/driver/driver.hpp"', "core/policy may include"),
    ("core/executor/executor.hpp", '#include "core/driver/driver.hpp"', "core/executor may include"),
    ("core/policy/parts/select_all.cpp", '#include "core/policy/parts/evict.hpp"', "part of a policy"),
    ("core/policy/policy.hpp", '#include "core/policy/parts/evict.hpp"', "part of a policy"),
    ("formats/yaml.cpp", '#include "core/policy/parts/evict.hpp"', "part of a policy"),
    ("study/sweep.cpp", '#include "core/policy/parts/evict.hpp"', "part of a policy"),
    ("core/driver/driver.hpp", '#include "formats/yaml.hpp"', "core/driver may include"),
    ("formats/yaml.cpp", '#include "runtime/lane.hpp"', "formats may include"),
    ("runtime/lane.cpp", '#include "sim/world/model.hpp"', "runtime may include"),
    ("runtime/lane.cpp", '#include "formats/yaml.hpp"', "runtime may include"),
    ("sim/world/model.hpp", '#include "runtime/lane.hpp"', "sim/world may include"),
    ("sim/world/model.hpp", '#include "core/policy/estimator.hpp"', "may never include"),
    ("sim/fluid/executor.hpp", '#include "sim/simgrid/executor.hpp"', "sim/fluid may include"),
    ("study/sweep.cpp", '#include "sim/fluid/executor.hpp"', "study may include"),
    ("sim/fluid/executor.hpp", "#include <simgrid/s4u.hpp>", "SimGrid is not for sim/fluid"),
    ("sim/fluid/executor.hpp", "#include <thread>", "threads is not for sim/fluid"),
    ("sim/world/model.hpp", "#include <chrono>", "clocks is not for sim/world"),
    ("runtime/lane.cpp", "#include <cuda_runtime.h>", "CUDA is not for runtime"),
    ("runtime/lane.cpp", "#include <yaml-cpp/yaml.h>", "yaml-cpp is not for runtime"),
    ("formats/yaml.cpp", "#include <numa.h>", "libnuma is not for formats"),
    ("formats/yaml.cpp", "#include <boost/program_options.hpp>", "Boost is not for formats"),
    ("cli/main.cpp", "#include <nlohmann/json.hpp>", "nlohmann-json is not for cli"),
    ("study/sweep.cpp", "#include <nlohmann/json.hpp>", "nlohmann-json is not for study"),
    ("study/sweep.cpp", "#include <hwloc.h>", "hwloc is not for study"),
    ("cli/main.cpp", "#include <dnnl.hpp>", "oneDNN is not for cli"),
    ("cli/main.cpp", "  #  include <curl/curl.h>", "no library that this project knows"),
    ("cli/main.cpp", "#include CONFIG_HEADER", "computed"),
    *[
        ("core/driver/driver.hpp", f"#include <{header}>", f"{group} is not for core/driver")
        for header, group in {
            "atomic": "threads",
            "mutex": "threads",
            "thread": "threads",
            "pthread.h": "threads",
            "chrono": "clocks",
            "ctime": "clocks",
            "cstdio": "files",
            "filesystem": "files",
            "fstream": "files",
            "unistd.h": "files",
            "iostream": "printing",
            "random": "random",
            "immintrin.h": "SIMD",
            "simgrid/s4u.hpp": "SimGrid",
            "yaml-cpp/yaml.h": "yaml-cpp",
            "boost/algorithm/string.hpp": "Boost",
        }.items()
    ],
]

CLEAN_SOURCE = """
#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>
struct Part { virtual ~Part() = default; virtual int timeout() const { return 1; } };
const std::string& names() { static const std::string text = "clock"; return text; }
std::string readable(double x) { std::ostringstream s; s << x << names() << std::to_string(x); return s.str(); }
std::shared_ptr<Part> part() { return std::make_shared<Part>(); }
int longest(std::map<int, std::string>& m, std::function<int(int)> f) {
  if (m.empty()) throw std::invalid_argument("empty");
  return f(m.begin()->first);
}
namespace hybridgen { int clock(int); int time(int); int use() { return clock(1) + time(2); } }
"""

# code, the symbol that the message must name, the rule that it must state
FORBIDDEN_CODE = [
    ("#include <chrono>\nauto f() { return std::chrono::steady_clock::now(); }", "steady_clock::now", "clock"),
    ("#include <chrono>\nauto f() { return std::chrono::system_clock::now(); }", "system_clock::now", "clock"),
    ("#include <ctime>\nauto f() { return std::time(nullptr); }", "time", "clock"),
    ("#include <time.h>\nint f(timespec* t) { return clock_gettime(CLOCK_MONOTONIC, t); }", "clock_gettime", "clock"),
    ("#include <cstdlib>\nauto f() { return std::getenv(\"X\"); }", "getenv", "environment"),
    ("#include <thread>\nvoid f() { std::thread([] {}).join(); }", "std::thread::join", "threads"),
    ("#include <mutex>\nvoid f(std::mutex& m) { m.lock(); }", "pthread_mutex_lock", "threads"),
    ("#include <condition_variable>\nvoid f(std::condition_variable& c) { c.notify_all(); }", "notify_all", "threads"),
    ("#include <cstdlib>\nint f() { return std::rand(); }", "rand", "randomness"),
    ("#include <random>\nunsigned f() { return std::random_device{}(); }", "random_device", "randomness"),
    ("#include <cstdio>\nvoid f(int x) { std::printf(\"%d\", x); }", "printf", "prints"),
    ("#include <cstdio>\nvoid f() { std::fputs(\"x\", stderr); }", "stderr", "prints"),
    ("#include <iostream>\nvoid f() { std::cerr << 1; }", "std::cerr", "prints"),
    ("#include <cstdio>\nauto f() { return std::fopen(\"x\", \"r\"); }", "fopen", "file"),
    ("#include <fstream>\nvoid f() { std::ofstream(\"x\") << 1; }", "basic_ofstream", "file"),
    ("#include <filesystem>\nbool f() { return std::filesystem::exists(\"x\"); }", "filesystem", "file"),
    ("namespace simgrid::s4u { void run(); }\nvoid f() { simgrid::s4u::run(); }", "simgrid::s4u::run", "SimGrid"),
    ("namespace YAML { void Load(); }\nvoid f() { YAML::Load(); }", "YAML::Load", "yaml-cpp"),
    ("int x;\nnamespace nlohmann { template <class T> [[gnu::noinline]] void g(T v) { x = v; } }\nvoid f() { nlohmann::g(1); }", "nlohmann::g", "nlohmann"),
    ('extern "C" int cudaMalloc(void**, unsigned long);\nint f() { return cudaMalloc(nullptr, 1); }', "cudaMalloc", "CUDA"),
    ('extern "C" int cublasCreate_v2(void*);\nint f() { return cublasCreate_v2(nullptr); }', "cublasCreate_v2", "CUDA"),
    ('extern "C" int numa_available();\nint f() { return numa_available(); }', "numa_available", "libnuma"),
    ("namespace boost { void g(); }\nvoid f() { boost::g(); }", "boost::g", "Boost"),
]


def run(script, *arguments):
    done = subprocess.run([sys.executable, HERE / script, *arguments], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


class InTemporaryFolder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)


class Rooms(InTemporaryFolder):
    def setUp(self):
        super().setUp()
        for name, text in CLEAN_TREE.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def check(self):
        return run("check_rooms.py", "--root", self.root)

    def test_clean_tree_passes(self):
        status, output = self.check()
        self.assertEqual(status, 0, output)
        self.assertIn(f"of {len(CLEAN_TREE)} files, 0 against", output)

    def test_each_forbidden_include_is_named_with_its_line_and_rule(self):
        for name, line, rule in FORBIDDEN_INCLUDES:
            with self.subTest(file=name, line=line):
                path = self.root / name
                path.write_text("// first line\n" + line + "\n" + CLEAN_TREE[name])
                status, output = self.check()
                path.write_text(CLEAN_TREE[name])
                self.assertEqual(status, 1, output)
                header = line.split("include")[1].strip(' <>"')
                self.assertIn(f"{name}:2: includes {header}: ", output)
                self.assertIn(rule, output)
                self.assertIn(" 1 against the table", output)

    def test_a_policy_that_reads_the_platforms_speed_is_named(self):
        name = "core/policy/parts/select_all.cpp"
        for line in ("auto t = machine.costs(id).kernels;", "if (channel.bytes_per_s > 1) {}", "machine.step_gap_ns();"):
            with self.subTest(line=line):
                (self.root / name).write_text(line + "\n")
                status, output = self.check()
                self.assertEqual(status, 1, output)
                self.assertIn(f"{name}:1: uses ", output)

    def test_include_in_a_line_comment_is_none(self):
        (self.root / "core/base/ids.hpp").write_text("// #include <thread>\n")
        status, output = self.check()
        self.assertEqual(status, 0, output)

    def test_file_outside_every_room_is_named(self):
        (self.root / "core/stray.hpp").write_text("")
        status, output = self.check()
        self.assertEqual(status, 1, output)
        self.assertIn("core/stray.hpp:1: lies in no room", output)

    def test_empty_tree_fails_as_unchecked(self):
        with tempfile.TemporaryDirectory() as empty:
            status, output = run("check_rooms.py", "--root", empty)
        self.assertEqual(status, 1)
        self.assertIn("nothing was checked", output)


class Symbols(InTemporaryFolder):
    def archive_of(self, *sources):
        objects = []
        for i, code in enumerate(sources):
            source = self.root / f"part{i}.cpp"
            source.write_text(code)
            objects.append(self.root / f"part{i}.cpp.o")
            subprocess.run([CXX, "-std=c++20", "-O1", "-c", source, "-o", objects[-1]], check=True)
        library = self.root / "libcore.a"
        library.unlink(missing_ok=True)
        subprocess.run(["ar", "rcs", library, *objects], check=True)
        return library

    def test_clean_library_passes(self):
        status, output = run("check_symbols.py", self.archive_of(CLEAN_SOURCE))
        self.assertEqual(status, 0, output)

    def test_each_forbidden_symbol_is_named_with_its_object_and_rule(self):
        for code, symbol, rule in FORBIDDEN_CODE:
            with self.subTest(symbol=symbol):
                status, output = run("check_symbols.py", self.archive_of("int clean() { return 1; }", code))
                self.assertEqual(status, 1, output)
                faults = [line for line in output.splitlines() if "libcore.a(part1.cpp.o): " in line]
                self.assertTrue(any(symbol in line and rule in line for line in faults), output)
                self.assertNotIn("(part0.cpp.o)", output)

    def test_empty_library_fails_as_unchecked(self):
        status, output = run("check_symbols.py", self.archive_of())
        self.assertEqual(status, 1)
        self.assertIn("nothing was checked", output)

    def test_missing_library_fails(self):
        status, output = run("check_symbols.py", self.root / "libcore.a")
        self.assertEqual(status, 1)
        self.assertIn("nm failed", output)


class Verified(InTemporaryFolder):
    def setUp(self):
        super().setUp()
        for name, text in {
            "runtime/cuda/kernels/attend.cu": '#include "runtime/cuda/logic/softmax.hpp"\n',
            "runtime/cuda/kernels/gemv.cu": "",
            "runtime/cuda/logic/softmax.hpp": '#include "runtime/kernels/half.hpp"\n',
            "runtime/kernels/half.hpp": "",
            "traces/VERIFIED.md": "# Head\n\n0 kernels, 0 verified\n\n| kernel | source |\n|---|---|\n",
            "README.md": "Of the GPU: 0 kernels, 0 verified.\n",
        }.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        run("check_verified.py", "--root", self.root, "--mark-unverified")

    def ledger(self):
        return self.root / "traces/VERIFIED.md"

    def check(self):
        return run("check_verified.py", "--root", self.root)

    def claim(self, kernel):
        """What a measurement on a card would write of the kernel."""
        text = self.ledger().read_text(encoding="utf-8")
        line = next(line for line in text.splitlines() if line.startswith(f"| {kernel} |"))
        text = text.replace(line, line.replace("unverified |  |  |  |", "verified | 0.5 | 91 % | a card |"))
        self.ledger().write_text(text.replace("0 verified", "1 verified"), encoding="utf-8")
        readme = self.root / "README.md"
        readme.write_text(readme.read_text(encoding="utf-8").replace("0 verified", "1 verified"), encoding="utf-8")

    def test_marked_tree_passes_and_counts(self):
        status, said = self.check()
        self.assertEqual(status, 0, said)
        self.assertIn("2 kernels, 0 verified", said)
        self.assertIn("2 kernels, 0 verified", (self.root / "README.md").read_text(encoding="utf-8"))

    def test_changed_header_of_a_kernel_is_red_until_it_is_marked_and_the_claim_is_gone(self):
        self.claim("attend")
        self.claim("gemv")
        self.ledger().write_text(self.ledger().read_text(encoding="utf-8").replace("1 verified", "2 verified"))
        readme = self.root / "README.md"
        readme.write_text(readme.read_text(encoding="utf-8").replace("1 verified", "2 verified"))
        self.assertEqual(self.check()[0], 0, self.check()[1])
        (self.root / "runtime/cuda/logic/softmax.hpp").write_text("// changed\n", encoding="utf-8")
        status, said = self.check()
        self.assertEqual(status, 1)
        self.assertIn("attend: its source is", said)
        self.assertNotIn("gemv", said)
        run("check_verified.py", "--root", self.root, "--mark-unverified")
        self.assertEqual(self.check()[0], 0, self.check()[1])
        text = self.ledger().read_text(encoding="utf-8")
        self.assertIn("2 kernels, 1 verified", text)
        self.assertRegex(text, r"\| attend \| \w+ \| unverified \|")
        self.assertIn("| verified | 0.5 | 91 % | a card |", text)

    def test_header_outside_the_cuda_room_does_not_count(self):
        (self.root / "runtime/kernels/half.hpp").write_text("// changed\n", encoding="utf-8")
        self.assertEqual(self.check()[0], 0)

    def test_new_and_removed_kernels_and_a_false_count_are_named(self):
        (self.root / "runtime/cuda/kernels/gemv.cu").rename(self.root / "runtime/cuda/kernels/gemm.cu")
        (self.root / "README.md").write_text("3 kernels, 1 verified\n", encoding="utf-8")
        status, said = self.check()
        self.assertEqual(status, 1)
        self.assertIn("no line for runtime/cuda/kernels/gemm.cu", said)
        self.assertIn("gemv: there is no such kernel", said)
        self.assertIn("README.md: says", said)


if __name__ == "__main__":
    unittest.main()
