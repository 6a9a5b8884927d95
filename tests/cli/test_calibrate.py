"""hybridgen calibrate: what it writes is a platform, and holds every kind of figure. No figure is a result here."""

import re
import unittest

import support

EXPERIMENT = "configs/demo/hybridgen.yaml"


class Calibrate(support.CliTest):
    def test_what_it_writes_is_simulated_and_says_every_kind_of_figure(self):
        out = self.folder / "local.yaml"
        done = support.run("calibrate", "--out", out, "--quick", "--rounds", "1", timeout=280)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        printed = done.stdout
        text = out.read_text(encoding="utf-8")
        for of, what, unit in (
            ("bandwidth", "read", "GB/s"),
            ("bandwidth", "write", "GB/s"),
            ("bandwidth", "copy (bytes copied)", "GB/s"),
            ("core to node", "read", "GB/s"),
            ("core to node", "latency of a dependent load", "ns"),
            ("copy", "time", "us"),
            ("kernel", "rate", "GFLOP/s"),
            ("executor", "time of the op", "ns"),
        ):
            found = re.search(
                rf'of: "?{of}"?, .*what: "?{re.escape(what)}"?, value: ([0-9.e+-]+), unit: {unit}, spread: ', text
            )
            self.assertIsNotNone(found, f"{of}, {what}, {unit}")
            self.assertGreater(float(found[1]), 0)
            self.assertIn(what, printed)
        for kernel in ("gemv", "logits", "attention", "gather", "matrix product"):
            self.assertRegex(text, f'where: "?{kernel}')
        if "node 0:" in printed:
            self.assertEqual(text.count("numa_node: "), 2)
        self.assertRegex(printed, r"medians of \d+ rounds")  # more than asked for where the machine is busy
        summary = self.done("simulate", EXPERIMENT, "--platform", out)
        self.assertIn("TPOT", summary)


if __name__ == "__main__":
    support.main()
