"""A corner of the table of placements by the documented command."""

import re
import subprocess
import sys

import support
from support import ROOT, CliTest

sys.path.insert(0, str(ROOT / "analysis"))
import placement  # noqa: E402


class Placement(CliTest):
    def cells(self, platform, context):
        done = subprocess.run(
            [sys.executable, ROOT / "analysis/placement.py", "--program", support.PROGRAM, "--platforms", platform,
             "--contexts", str(context)],
            cwd=ROOT, capture_output=True, text=True, timeout=200, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        self.assertIn("simulated CXL", done.stdout.splitlines()[0])
        self.assertIn("quality: unknown", done.stdout.splitlines()[0])
        header, _, row = [line.strip("| ").split(" | ") for line in done.stdout.splitlines()[-3:]]
        return dict(zip(header, row))

    def ratio_and_freed(self, cell):
        ratio, freed = cell.split("(")[1].rstrip(")").split("x, ")
        return float(ratio), float(freed)

    def test_control_loses_and_semantic_beats_what_overflows(self):
        cells = self.cells("a100-40", 16384)
        self.assertEqual((cells["platform"], cells["context"]), ("a100-40", "16,384"))
        points = {name: self.ratio_and_freed(cells[name]) for name in list(cells)[3:]}
        ratio = {name: point[0] for name, point in points.items()}
        # Nothing overflows: the two are one placement.
        self.assertEqual(points["tier-order"], (1.0, 0.0))
        # 12,296 tokens on the host, K of 32 layers of 8 x 128 x 2 bytes: 0.75 GiB, and V as much.
        for name in ("semantic", "k-in-cxl", "interleave", "unified/less"):
            self.assertAlmostEqual(points[name][1], 0.75, delta=0.02, msg=name)
        # The order of what K's scan and V's gather cost in each memory.
        self.assertLess(1.0, ratio["semantic"])
        self.assertLess(ratio["semantic"], ratio["semantic/slow rows"])
        self.assertLess(ratio["semantic/slow rows"], ratio["unified/less"])
        self.assertLess(ratio["semantic"], ratio["interleave"])
        for name in ratio:
            self.assertLessEqual(ratio[name], ratio["k-in-cxl"], name)
        # Half of the layers scan K, and gather V, from CXL memory: half of what each half of KV costs there.
        loss = (ratio["k-in-cxl"] - 1) + (ratio["semantic"] - 1)
        self.assertAlmostEqual(ratio["unified/less"] - 1, loss / 2, delta=0.02)

    def test_slow_rows_are_where_the_platform_files_range_ends(self):
        for platform, most in placement.SLOW_ROW_NS.items():
            with self.subTest(platform=platform):
                text = (ROOT / f"platform-models/{platform}.yaml").read_text(encoding="utf-8")
                ranges = re.findall(r"rows of 256 bytes at random .* per row .*; range \d+ to (\d+)", text)
                self.assertEqual(ranges, [str(most)], "change SLOW_ROW_NS of analysis/placement.py with the file")


if __name__ == "__main__":
    support.main()
