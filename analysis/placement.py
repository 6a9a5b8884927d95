#!/usr/bin/env python3
"""Simulate where host K and V lie: placements x platforms x contexts, and print a table in Markdown.

Every point is one run of `hybridgen simulate configs/h100/hybridgen.yaml` on another platform, with another context
and placement. CXL memory is simulated throughout: no figure here was measured on an expander. `tier-order` is run
twice, the second time with only half of the DRAM that host K and V need, so that it fills.

Exit status 0: every point ran, does not fit, or its platform has no such memory.
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
PLATFORMS = "a100-40 h100-80 rtx-5090".split()
CONTEXTS = (8192, 16384, 32768, 65536)
PLACEMENTS = "unified semantic tier-order tier-order/half interleave k-in-cxl".split()
BAD_INPUT, DOES_NOT_FIT = 2, 3
GIB = 1 << 30
SPARE = 16 << 20  # for what the host works in


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--platforms", nargs="+", default=PLATFORMS)
    parser.add_argument("--contexts", nargs="+", type=int, default=CONTEXTS)
    parser.add_argument("--program", default=ROOT / "build/release/hybridgen", type=pathlib.Path)
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="for every point")
    return parser.parse_args()


def simulate(asked, platform, context, placement):
    """The summary of one point, or a word for why there is none."""
    sets = [f"workload.prompt_tokens={context}", "workload.new_tokens=9", f"policy.device_kv_tokens={context // 4}",
            f"policy.placement={placement}", *asked.set]
    command = [asked.program, "simulate", "configs/h100/hybridgen.yaml", "--platform", platform, "--json"]
    for each in sets:
        command += ["--set", each]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode == DOES_NOT_FIT:
        return "does not fit"
    if done.returncode == BAD_INPUT and f"placement {placement}" in done.stderr:
        return "no such memory"
    if done.returncode != 0:
        sys.exit(f"{platform}, {context} tokens, {placement}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def with_less_dram(platform, capacity_bytes, folder):
    """The platform's file with another capacity of the memory `dram`."""
    text = (ROOT / f"platform-models/{platform}.yaml").read_text(encoding="utf-8")
    pattern = r"(- name: dram\n    kind: dram\n    capacity_GiB: )[\d.]+"
    changed, count = re.subn(pattern, rf"\g<1>{capacity_bytes / GIB:.6f}", text)
    assert count == 1, platform
    path = pathlib.Path(folder) / f"{platform}.yaml"
    path.write_text(changed, encoding="utf-8")
    return str(path)


def cell(point, unified):
    if isinstance(point, str):
        return point
    freed = (unified["tier_peak_bytes"]["dram"] - point["tier_peak_bytes"]["dram"]) / GIB
    ratio = point["tpot_ms"]["mean"] / unified["tpot_ms"]["mean"]
    return f"{point['tpot_ms']['mean']:.2f} ({ratio:.2f}x, {freed:.2f})"


def row(asked, platform, context, folder):
    unified = simulate(asked, platform, context, "unified")
    cells = []
    for placement in PLACEMENTS:
        if isinstance(unified, str):
            cells.append(unified)
        elif placement == "unified":
            cells.append(f"{unified['tpot_ms']['mean']:.2f}")
        elif placement == "tier-order/half":
            less = with_less_dram(platform, unified["tier_peak_bytes"]["dram"] // 2 + SPARE, folder)
            cells.append(cell(simulate(asked, less, context, "tier-order"), unified))
        else:
            cells.append(cell(simulate(asked, platform, context, placement), unified))
    return [platform, f"{context:,}", *cells]


def main():
    asked = arguments()
    rows = [["platform", "context", *PLACEMENTS]]
    with tempfile.TemporaryDirectory() as folder:
        rows += [row(asked, platform, context, folder) for platform in asked.platforms for context in asked.contexts]
    print("Decode step in ms, simulated CXL (times unified's; GiB of DRAM freed). quality: unknown\n")
    print("| " + " | ".join(rows[0]) + " |\n" + "|---" * len(rows[0]) + "|")
    for each in rows[1:]:
        print("| " + " | ".join(each) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
