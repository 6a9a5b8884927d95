"""What the tests of the program share: it is started as a user starts it, and judged by what a user sees.

A test file is run as `python3 test_x.py PROGRAM`; plain Python of the system, so that these tests run where .venv
could not be made.
"""

import json
import pathlib
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = ""
SKIPPED = 77  # ctest takes this exit status for a skipped test
MODEL = ROOT / "models" / "smollm2-135m-instruct"
TRACE = ROOT / "traces" / "smollm2-hybridgen-threshold"
GOLDEN = ROOT / "tests" / "golden" / "models"
FAMILIES = ["llama", "opt", "qwen2", "qwen3"]  # a golden model of each


def main():
    global PROGRAM
    if len(sys.argv) < 2:
        sys.exit(f"usage: {sys.argv[0]} PROGRAM [unittest arguments]")
    # Test files import this module by name; run as a script there would be two of it.
    PROGRAM = str(pathlib.Path(sys.argv.pop(1)).resolve())
    unittest.main(module="__main__")


def skip_without_model():
    """Ends the whole file with its reason, in the form in which `./dev test` collects reasons."""
    for needed in (MODEL / "model.safetensors", ROOT / ".venv/bin/python"):
        if not needed.exists():
            print(f"{sys.argv[0]}:1: Skipped\n{needed} is not there; ./dev setup makes it\n\n[  SKIPPED ] cli")
            sys.exit(SKIPPED)


def run(*arguments, timeout=120):
    command = [PROGRAM, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False)


class CliTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="hybridgen-cli-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def done(self, *arguments):
        """Status 0 and not a word on standard error; returns standard output."""
        result = run(*arguments)
        self.assertEqual((result.returncode, result.stderr), (0, ""), arguments)
        return result.stdout

    def refused(self, status, *arguments, lines=1):
        """That status, nothing on standard output, so many lines on standard error, which are returned."""
        before = snapshot(self.folder)
        result = run(*arguments)
        self.assertEqual(result.returncode, status, f"{arguments}: {result.stderr}")
        self.assertEqual(result.stdout, "", arguments)
        self.assertEqual(len(result.stderr.splitlines()), lines, f"{arguments}: {result.stderr}")
        self.assertTrue(result.stderr.endswith("\n"), arguments)
        self.assertNotIn("internal error", result.stderr, arguments)
        self.assertEqual(snapshot(self.folder), before, f"{arguments} wrote something")
        return result.stderr

    def edited(self, source, old, new):
        """A copy of a file with one place changed; an edit that did nothing would prove nothing."""
        text = (ROOT / source).read_text(encoding="utf-8")
        self.assertIn(old, text, source)
        path = self.folder / pathlib.Path(source).name
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
        return path


class GoldenModelTest(CliTest):
    """Commands that read a text and write beside a model: small models of every family, copied, and token ids."""

    def setUp(self):
        super().setUp()
        self.ids = self.folder / "prompt.ids"
        self.ids.write_bytes(struct.pack("<200i", *[3 + i * i * 7 % 90 for i in range(200)]))

    def model(self, family="llama"):
        target = self.folder / family
        shutil.copytree(GOLDEN / family, target)
        return target

    def experiment_of(self, model, policy):
        """An experiment with that policy, on a machine that any host can play."""
        path = self.folder / "experiment.yaml"
        path.write_text(
            f"platform: {TRACE / 'platform.yaml'}\nmodel: {model}\n"
            f"workload: {{prompt_file: {self.ids}, prompt_tokens: 40, new_tokens: 4, batch: 1}}\n"
            f"policy: {{{policy}}}\nseed: 1\nrepeat: 1\n",
            encoding="utf-8",
        )
        return path


def snapshot(folder):
    """Every file below the folder with its content, every folder with None."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def start(*arguments):
    return subprocess.Popen(
        [PROGRAM, *map(str, arguments)], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def kill_after(seconds, *arguments):
    """Starts the program and kills it so much later."""
    process = start(*arguments)
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    return process.wait()


def kill_while_writing(out, *arguments, files=1):
    """Kills the program as soon as its partial folder has so many files; returns what it ended with."""
    process = start(*arguments)
    while process.poll() is None:
        if any(count_files(partial) >= files for partial in out.parent.glob(f"{out.name}.partial-*")):
            break
    process.send_signal(signal.SIGKILL)
    return process.wait()


def count_files(folder):
    """0 for a folder that is gone: a finished program has renamed its partial one between listing and look."""
    try:
        return len(list(folder.iterdir()))
    except FileNotFoundError:
        return 0


def is_whole(folder):
    names = "manifest.json summary.json steps.csv ops.csv outcomes.csv requests.csv decisions.jsonl platform.yaml trace.json"
    missing = [name for name in names.split() if not (folder / name).is_file()]
    return not missing and "created" in json.loads((folder / "manifest.json").read_text(encoding="utf-8"))


def commands():
    """Names of the commands, from the help itself, so that a new one is tested unasked."""
    return re.findall(r"^  ([a-z]+) {2,}\S", run("--help").stdout, re.M)
