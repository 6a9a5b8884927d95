"""A corner of the table of placements by the documented command."""

import subprocess
import sys

import support
from support import ROOT, CliTest


class Placement(CliTest):
    def test_control_loses_and_every_other_frees_what_it_says(self):
        done = subprocess.run(
            [sys.executable, ROOT / "analysis/placement.py", "--program", support.PROGRAM, "--platforms", "h100-80",
             "--contexts", "8192"],
            cwd=ROOT, capture_output=True, text=True, timeout=200, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        self.assertIn("simulated CXL", done.stdout.splitlines()[0])
        header, _, row = [line.strip("| ").split(" | ") for line in done.stdout.splitlines()[-3:]]
        cells = dict(zip(header, row))
        self.assertEqual((cells["platform"], cells["context"]), ("h100-80", "8,192"))

        def ratio_and_freed(placement):
            ratio, freed = cells[placement].split("(")[1].rstrip(")").split("x, ")
            return float(ratio), float(freed)

        # 6152 host tokens of 64 KiB K and as much V: 0.38 GiB each.
        self.assertEqual(ratio_and_freed("tier-order"), (1.0, 0.0))
        self.assertAlmostEqual(ratio_and_freed("semantic")[1], 0.38, delta=0.02)
        self.assertAlmostEqual(ratio_and_freed("k-in-cxl")[1], 0.38, delta=0.02)
        self.assertAlmostEqual(ratio_and_freed("tier-order/half")[1], 0.38, delta=0.05)
        control = ratio_and_freed("k-in-cxl")[0]
        self.assertGreater(control, 1.1)
        for other in ("semantic", "tier-order/half", "interleave"):
            self.assertGreater(control, ratio_and_freed(other)[0], other)


if __name__ == "__main__":
    support.main()
