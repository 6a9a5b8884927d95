"""What compare.py does without torch: bad input, what is missing, the reading of bench-machine's results, the table."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

FOLDER = pathlib.Path(__file__).resolve().parent
ROOT = FOLDER.parents[2]
sys.path.insert(0, str(FOLDER))

import compare  # noqa: E402

H100 = ROOT / "traces" / "h100"


class CompareTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        # A torch that cannot be imported, also where a real one is installed.
        (self.folder / "torch.py").write_text("raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')\n")

    def refused(self, status, *arguments):
        """That exit status, nothing on standard output, one line on standard error, which is returned."""
        done = subprocess.run(
            [sys.executable, FOLDER / "compare.py", *map(str, arguments)], capture_output=True, text=True, timeout=60,
            env={**os.environ, "PYTHONPATH": str(self.folder)},
        )  # fmt: skip
        self.assertEqual((done.returncode, done.stdout), (status, ""), done.stderr)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        self.assertTrue(done.stderr.startswith("transformers: "), done.stderr)
        return done.stderr

    def stage(self, name, text):
        (self.folder / name).write_text(text, encoding="utf-8")
        return "--beside", self.folder

    def test_without_torch_it_says_what_to_install(self):
        self.assertIn("python3 -m pip install torch transformers", self.refused(4))

    def test_bad_arguments_are_one_message(self):
        self.assertIn("'0' is not a number of at least 1", self.refused(2, "--context", "0"))
        self.assertIn("'many' is not a number", self.refused(2, "--steps", "many"))
        self.assertIn("invalid choice: 'half'", self.refused(2, "--cache", "half"))
        self.assertIn("--contexts", self.refused(2, "--contexts", "8192"))
        self.assertIn("a CPU has nowhere to offload to", self.refused(2, "--device", "cpu", "--cache", "both"))
        self.assertIn("leave --layers out", self.refused(2, "--beside", H100, "--layers", "2"))
        self.assertIn("is no folder", self.refused(2, "--out", self.folder / "none" / "x.json"))

    def test_results_to_stand_beside_are_checked_first(self):
        self.assertIn("decode-8k.json: No such file", self.refused(2, "--beside", self.folder))
        self.assertIn("decode-16k.json", self.refused(2, "--beside", H100, "--context", 16384))
        self.assertIn("no step time of 8192 tokens of small", self.refused(2, "--beside", H100, "--shape", "small"))
        for text in ("", "[]", "{}", '{"figures": [{"quantity": "step time"}]}', '{"figures": []}'):
            self.assertIn("is not a stage", self.refused(2, *self.stage("decode-8k.json", text)), text)
        nothing = '{"figures": [], "card": "a", "commit": "b", "date": "c"}'
        self.assertIn("has no step time of 8192", self.refused(2, *self.stage("decode-8k.json", nothing)))

    def test_shipped_results_give_the_systems_that_are_compared(self):
        source, rows = compare.beside(H100, 8192, "llama-3.1-8b")
        self.assertTrue(source["card"].startswith("NVIDIA H100"))
        names = [each["system"] for each in rows]
        self.assertEqual(names[:4], ["full-gpu", "flexgen", "flexgen-cpu-attention", "hybridgen"])
        self.assertTrue(all(name.startswith("hybridgen") for name in names[4:]))
        stage = json.loads((H100 / "decode-8k.json").read_text(encoding="utf-8"))
        expected = next(
            each["value"]
            for each in stage["figures"]
            if (each["subject"], each["quantity"]) == ("flexgen", "step time")
        )
        self.assertEqual(rows[1]["ms"], expected)

    def test_a_row_has_the_median_and_the_bytes_over_it(self):
        row = compare.row(8192, "offloaded", [10.0, 30.0, 20.0], 1_000_000_000, 2e-4, 1e-3)
        self.assertEqual((row["ms"], row["ms_least"], row["ms_most"], row["kv_GBps"]), (20.0, 10.0, 30.0, 50.0))
        self.assertTrue(row["right"])

    def rows(self, released_off):
        return compare.with_ratios([
            compare.row(8192, "resident", [10.0], 1_073_741_824, None, 1e-3),
            compare.row(8192, "offloaded, ordered", [100.0], 1_073_741_824, 0.0, 1e-3),
            compare.row(8192, "offloaded", [80.0], 1_073_741_824, released_off, 1e-3),
            {"context": 8192, "system": "flexgen", "ms": 50.0, "spread": 0.01},
            {"context": 32768, "system": "flexgen", "ms": 200.0, "spread": 0.01},
        ])  # fmt: skip

    def test_ratios_are_to_the_fastest_offloaded_cache_that_is_right_at_that_context(self):
        self.assertEqual([each["ratio"] for each in self.rows(1e-4)], [8.0, 0.8, 1.0, 1.6, None])
        self.assertEqual([each["ratio"] for each in self.rows(0.5)], [10.0, 1.0, None, 2.0, None])
        self.assertEqual([each["ratio"] for each in self.rows(float("inf"))], [10.0, 1.0, None, 2.0, None])

    def test_table_marks_a_wrong_answer(self):
        lines = [[cell.strip() for cell in line.split("|")] for line in compare.table(self.rows(0.5))]
        self.assertEqual(lines[0], list(compare.COLUMNS))
        self.assertEqual(
            lines[2],
            ["8,192", "transformers, offloaded, ordered", "100.00", "100.00 - 100.00", "10.0", "1,073.7", "10.7", "1.00",
             "0.0e+00"],
        )  # fmt: skip
        self.assertEqual(lines[3][-2:], ["", "5.0e-01 !"])
        self.assertEqual(lines[4], ["8,192", "flexgen", "50.00", "spread 1.0%", "20.0", "", "", "2.00"] + [""])


if __name__ == "__main__":
    unittest.main()
