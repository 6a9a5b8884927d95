"""The demo from outside, against a program that only pretends."""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
FAKE = pathlib.Path(__file__).with_name("fake_hybridgen.py")


class DemoTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def demo(self, *words, **environment):
        log = self.folder / "log"
        log.unlink(missing_ok=True)
        done = subprocess.run(
            [
                sys.executable, str(ROOT / "analysis/demo.py"), "--program", str(FAKE),
                "--out", str(self.folder / "out"), "--platform", str(self.folder / "local.yaml"),
                "--no-picture", *words,
            ],
            capture_output=True, text=True, check=False,
            env={**os.environ, "FAKE_LOG": str(log), **environment},
        )  # fmt: skip
        calls = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
        return done.returncode, done.stdout, [" ".join(call.split()[:2]) for call in calls]

    def test_everything_is_simulated_before_anything_is_run(self):
        status, output, calls = self.demo()
        self.assertEqual(status, 0, output)
        configs = [f"configs/demo/{policy}.yaml" for policy in ("full-gpu", "flexgen", "hybridgen")]
        self.assertTrue(calls[0].startswith("calibrate --out"))
        self.assertEqual(calls[1:4], [f"simulate {config}" for config in configs])
        runs = [call for call in calls if call.startswith("run")]
        self.assertEqual(runs, [f"run {c}" for c in configs] + ["run configs/demo/hybridgen-feedback.yaml"])
        self.assertEqual(sum(call.startswith("validate") for call in calls), 3)
        self.assertEqual(sum(call.startswith("accuracy") for call in calls), 3)
        self.assertIn("+6.0", output)
        self.assertIn("The hybridgen policy wrote this", output)
        self.assertEqual(
            (self.folder / "out/flexgen-validation.txt").read_text(encoding="utf-8"), "validate: fine\n"
        )

    def test_the_scheduler_tells_its_decisions_in_both_worlds(self):
        _, output, calls = self.demo()
        config = "configs/demo/hybridgen-feedback.yaml"
        self.assertLess(calls.index(f"simulate {config}"), calls.index("run configs/demo/full-gpu.yaml"))
        self.assertIn(f"run {config}", calls)
        story = output[output.index("What the scheduler of hybridgen-feedback decided"):]
        simulated, real = story.split("\nreal:")
        self.assertIn("the host of the simulate is late", simulated)
        self.assertIn("the host of the run is late", real)
        self.assertIn("came to rest", real)
        self.assertNotIn("TPOT", story)

    def test_a_known_machine_is_measured_again_only_when_asked(self):
        platform = self.folder / "local.yaml"
        platform.write_text("name: old\n")
        self.assertNotIn("calibrate", " ".join(self.demo()[2]))
        self.assertEqual(platform.read_text(), "name: old\n")
        self.assertIn("calibrate", self.demo("--recalibrate")[2][0])
        self.assertEqual(platform.read_text(), "name: local\n")

    def test_a_measurement_that_fails_keeps_the_old_one_and_stops(self):
        platform = self.folder / "local.yaml"
        platform.write_text("name: old\n")
        status, output, calls = self.demo("--recalibrate", FAKE_FAIL="calibrate")
        self.assertEqual(status, 1)
        self.assertEqual(len(calls), 1)
        self.assertEqual(platform.read_text(), "name: old\n")
        self.assertIn("fake: told to fail", output)

    def test_quality_is_in_the_table_and_can_be_left_out(self):
        _, output, calls = self.demo()
        self.assertIn("accuracy", " ".join(calls))
        self.assertIn("perplexity 13.500", output)
        self.assertIn("mean KL 0.00610", output)
        _, output, calls = self.demo("--no-quality")
        self.assertNotIn("accuracy", " ".join(calls))
        self.assertRegex(output, r"flexgen .* unknown")

    def test_a_run_that_fails_shows_in_the_table_and_in_the_status(self):
        self.assertEqual(self.demo()[0], 0)  # leaves results behind, which must not be shown again
        status, output, calls = self.demo(FAKE_FAIL="run configs/demo/flexgen")
        self.assertEqual(status, 1)
        self.assertRegex(output, r"flexgen +\| +failed \|")
        self.assertRegex(output, r"hybridgen +\| +\d")
        self.assertIn("failed: run flexgen for real", output)
        self.assertEqual(sum(call.startswith("validate") for call in calls), 2)

    def test_a_large_error_fails_but_the_table_is_printed(self):
        status, output, _ = self.demo(FAKE_FACTOR="1.4")
        self.assertEqual(status, 1)
        self.assertIn("+40.0 !", output)
        self.assertIn("the error exceeds 25 %", output)

    def test_missing_program_says_how_to_build_it(self):
        done = subprocess.run(
            [sys.executable, str(ROOT / "analysis/demo.py"), "--program", "build/no/such"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        self.assertEqual(done.returncode, 1)
        self.assertIn("./dev build", done.stderr)


if __name__ == "__main__":
    unittest.main()
