#!/usr/bin/env python3
"""Simulate where host K and V lie: placements x platforms x contexts, and print a table in Markdown.

Every point is one run of `hybridgen simulate configs/h100/hybridgen.yaml` on another platform, with another context
and placement; a quarter of the context stays on the device. CXL memory is simulated throughout: no figure here was
measured on an expander. A cell is the mean decode step in ms; in brackets that time over unified's, and how many GiB
of DRAM less are used than by unified.

Columns behind the five placements: `/less` is the same placement with just the DRAM that `semantic` needs, so that K
and V of the later layers overflow; `/slow rows` is `semantic` where a gathered row costs the most that the platform's
file holds possible (SLOW_ROW_NS), since no published figure is of rows gathered from an expander.

Exit status 0: every point ran, or does not fit.
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
# The platforms, and the ns that a gathered row costs there at most: where the range ends that the platform's file states
# with its assumption for pack_rows. A test holds the two together.
SLOW_ROW_NS = {"a100-40": 10, "h100-80": 10, "rtx-5090": 9}
CONTEXTS = (8192, 16384, 32768, 65536)
PLACEMENTS = "unified semantic tier-order interleave k-in-cxl".split()
LESS, SLOW = "/less", "/slow rows"
COLUMNS = [*PLACEMENTS, "unified" + LESS, "tier-order" + LESS, "semantic" + SLOW]
DOES_NOT_FIT = 3
GIB = 1 << 30
WORKSPACE = 16 << 20  # bytes of DRAM that the host works in, more than any point here needs


class Points:
    """Runs of the program, each with a platform file of its own where the platform's was changed."""

    def __init__(self, asked, folder):
        self.asked = asked
        self.folder = pathlib.Path(folder)

    def simulate(self, platform, context, placement):
        """The summary of one point; None where it does not fit."""
        sets = [f"workload.prompt_tokens={context}", "workload.new_tokens=9", f"policy.device_kv_tokens={context // 4}",
                f"policy.placement={placement}"]
        command = [self.asked.program, "simulate", "configs/h100/hybridgen.yaml", "--platform", platform, "--json"]
        for each in sets:
            command += ["--set", each]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode == DOES_NOT_FIT:
            return None
        if done.returncode != 0:
            sys.exit(f"{platform}, {context} tokens, {placement}: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def changed(self, platform, pattern, value):
        """A copy of the platform's file with another value behind what the pattern matches."""
        text = (ROOT / f"platform-models/{platform}.yaml").read_text(encoding="utf-8")
        text, count = re.subn(rf"({pattern})[\d.]+", lambda match: match.group(1) + str(value), text)
        if count != 1:
            sys.exit(f"platform-models/{platform}.yaml: expected one place like {pattern!r}, found {count}")
        path = self.folder / f"{platform}.yaml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    def with_dram(self, platform, capacity_bytes):
        return self.changed(platform, r"- name: dram\n    kind: dram\n    capacity_GiB: ", f"{capacity_bytes / GIB:.6f}")

    def with_slow_rows(self, platform):
        return self.changed(platform, r"pack_rows:\n(?: {8}.*\n)*? {8}row_ns: ", SLOW_ROW_NS[platform])

    def row(self, platform, context):
        points = {placement: self.simulate(platform, context, placement) for placement in PLACEMENTS}
        if points["semantic"]:
            less = self.with_dram(platform, points["semantic"]["tier_peak_bytes"]["dram"] + WORKSPACE)
            for placement in ("unified", "tier-order"):
                points[placement + LESS] = self.simulate(less, context, placement)
            points["semantic" + SLOW] = self.simulate(self.with_slow_rows(platform), context, "semantic")
        return [platform, f"{context:,}", *(cell(points.get(column), points["unified"]) for column in COLUMNS)]


def dram_bytes(point):
    """Of K, V and exchange, the half of an interleaved memory that lies there included."""
    peaks = point["tier_peak_bytes"]
    return peaks["dram"] + peaks.get("interleaved", 0) // 2


def cell(point, unified):
    if point is None or unified is None:
        return "does not fit"
    step = point["tpot_ms"]["mean"]
    if point is unified:
        return f"{step:.2f}"
    freed = (dram_bytes(unified) - dram_bytes(point)) / GIB
    return f"{step:.2f} ({step / unified['tpot_ms']['mean']:.2f}x, {freed:.2f})"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--platforms", nargs="+", default=list(SLOW_ROW_NS), choices=SLOW_ROW_NS)
    parser.add_argument("--contexts", nargs="+", type=int, default=CONTEXTS)
    parser.add_argument("--program", default=ROOT / "build/release/hybridgen", type=pathlib.Path)
    return parser.parse_args()


def main():
    asked = arguments()
    rows = [["platform", "context", *COLUMNS]]
    with tempfile.TemporaryDirectory() as folder:
        points = Points(asked, folder)
        rows += [points.row(platform, context) for platform in asked.platforms for context in asked.contexts]
    print("Decode step in ms, simulated CXL (times unified's, GiB of DRAM freed). quality: unknown\n")
    print("| " + " | ".join(rows[0]) + " |\n" + "|---" * len(rows[0]) + "|")
    for each in rows[1:]:
        print("| " + " | ".join(each) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
