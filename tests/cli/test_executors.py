"""hybridgen run --executor, list executors and bench-machine, by the program itself: exit status and message.

    executors_test.py PATH/TO/hybridgen
"""

import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

PROGRAM = ""
SOURCE = pathlib.Path(__file__).resolve().parents[2]
EXPERIMENT = "configs/demo/hybridgen.yaml"


def hybridgen(*arguments):
    return subprocess.run([PROGRAM, *arguments], cwd=SOURCE, capture_output=True, text=True, timeout=60)


def cuda_line():
    lines = hybridgen("list", "executors").stdout.splitlines()
    return next(line.split(maxsplit=1) for line in lines if line.split()[:1] == ["cuda"])


class Executors(unittest.TestCase):
    def test_list_names_each_executor_and_why_not(self):
        result = hybridgen("list", "executors")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual([line.split()[0] for line in result.stdout.splitlines()], ["host", "cuda"])

    def test_cuda_without_a_gpu_ends_with_one_message_and_exit_4(self):
        name, text = cuda_line()
        if not text.startswith("not available: "):
            self.skipTest(f"there is a GPU: {text}")
        result = hybridgen("run", EXPERIMENT, "--executor", "cuda")
        self.assertEqual(result.returncode, 4, result.stderr)
        self.assertEqual(result.stdout, "")
        reason = text.removeprefix("not available: ")
        self.assertEqual(result.stderr, f"executor cuda: {reason}\n")

    def test_bench_machine_lists_its_stages_without_a_gpu(self):
        result = hybridgen("bench-machine", "--list")
        self.assertEqual(result.returncode, 0, result.stderr)
        stages = [line.split()[0] for line in result.stdout.splitlines()]
        self.assertEqual(stages[:2], ["correctness", "kernels"])
        self.assertIn("recorded", stages)

    def test_bench_machine_without_a_gpu_ends_with_one_message_exit_4_and_nothing_written(self):
        name, text = cuda_line()
        if not text.startswith("not available: "):
            self.skipTest(f"there is a GPU: {text}")
        with tempfile.TemporaryDirectory() as folder:
            out = pathlib.Path(folder) / "results"
            result = hybridgen("bench-machine", "--budget-minutes", "1", "--out", str(out))
            self.assertEqual(result.returncode, 4, result.stderr)
            self.assertEqual(result.stdout, "")
            self.assertEqual(result.stderr, f"bench-machine: {text.removeprefix('not available: ')}\n")
            self.assertFalse(out.exists())

    def test_bench_machine_without_a_folder_or_a_budget_is_bad_input(self):
        for arguments in (["--budget-minutes", "1"], ["--out", "x"], ["--out", "x", "--budget-minutes", "0"]):
            result = hybridgen("bench-machine", *arguments)
            self.assertEqual(result.returncode, 2, arguments)
            self.assertEqual(len(result.stderr.splitlines()), 1)

    def test_bench_machine_for_an_unknown_system_is_bad_input_with_the_nearest_name(self):
        result = hybridgen("bench-machine", "--budget-minutes", "1", "--out", "x", "--system", "flexgenn")
        self.assertEqual(result.returncode, 2, result.stderr)
        self.assertIn("did you mean flexgen", result.stderr)
        self.assertEqual(len(result.stderr.splitlines()), 1)

    def test_platform_of_the_shipped_results_is_the_shipped_one(self):
        shipped = SOURCE / "traces" / "h100"
        with tempfile.TemporaryDirectory() as folder:
            for file in [*shipped.glob("*.json"), shipped / "card.yaml"]:
                shutil.copy(file, folder)
            result = hybridgen("bench-machine", "--platform", "--out", folder)
            self.assertEqual(result.returncode, 0, result.stderr)
            text = (pathlib.Path(folder) / "card.yaml").read_text(encoding="utf-8")
            self.assertEqual(text, (shipped / "card.yaml").read_text(encoding="utf-8"))

    def test_platform_without_results_is_bad_input(self):
        with tempfile.TemporaryDirectory() as folder:
            result = hybridgen("bench-machine", "--platform", "--out", folder)
            self.assertEqual(result.returncode, 2)
            self.assertIn("card.yaml", result.stderr)
            self.assertEqual(len(result.stderr.splitlines()), 1)
            self.assertEqual(list(pathlib.Path(folder).iterdir()), [])

    def test_unknown_executor_is_bad_input_and_lists_the_names(self):
        result = hybridgen("run", EXPERIMENT, "--executor", "cudda")
        self.assertEqual(result.returncode, 2)
        self.assertIn("cuda", result.stderr)
        self.assertEqual(len(result.stderr.splitlines()), 1)


if __name__ == "__main__":
    PROGRAM = str(pathlib.Path(sys.argv.pop(1)).resolve())
    unittest.main()
