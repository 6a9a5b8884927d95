"""A corner of the grid by the documented command; the whole grid takes longer and is the reader's."""

import json
import subprocess
import sys

import support
from support import ROOT, CliTest


class Grid(CliTest):
    def test_every_point_is_simulated_in_time_or_says_what_it_lacks(self):
        out = self.folder / "grid.json"
        models, platforms = ["opt-6.7b", "qwen2.5-7b", "llama-2-70b"], ["a100-40", "h100-80", "rtx-5090"]
        done = subprocess.run(
            [sys.executable, ROOT / "analysis/grid.py", "--program", support.PROGRAM, "--out", out, "--models", *models,
             "--platforms", *platforms],
            cwd=ROOT, capture_output=True, text=True, timeout=200, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        points = {(p["model"], p["platform"], p["policy"]): p for p in json.loads(out.read_text(encoding="utf-8"))}
        policies = sorted(path.stem for path in (ROOT / "configs/grid").glob("*.yaml"))
        self.assertLessEqual({"flexgen", "full-gpu", "hybridgen"}, set(policies))
        self.assertEqual(len(points), len(models) * len(platforms) * len(policies))
        for point in points.values():
            self.assertLessEqual(point["seconds"], 5, point)
            # 69e9 parameters at 16 bits fit none of these cards; the others' weights fit all.
            if point["model"] == "llama-2-70b":
                self.assertEqual((point["status"], list(point["short"])), ("does not fit", ["hbm"]), point)
        self.assertEqual(points["opt-6.7b", "rtx-5090", "full-gpu"]["status"], "does not fit")
        # A context that the model was not made for is never simulated silently.
        for (model, _, _), point in points.items():
            if point["status"] == "done":
                stretched = any("made for 2048 tokens" in note for note in point["notes"])
                self.assertEqual(stretched, model == "opt-6.7b", point)
        # KV over PCIe in every step: 32k tokens x 56 KiB at 51.5 GB/s are 36 ms, at 25.5 GB/s twice that.
        h100 = points["qwen2.5-7b", "h100-80", "flexgen"]["tpot_ms"]
        a100 = points["qwen2.5-7b", "a100-40", "flexgen"]["tpot_ms"]
        self.assertTrue(36 < h100 < 40, h100)
        self.assertTrue(1.9 < a100 / h100 < 2.1, (a100, h100))


if __name__ == "__main__":
    support.main()
