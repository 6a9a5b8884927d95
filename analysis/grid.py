#!/usr/bin/env python3
"""Simulate the grid: models x platforms x the policies of configs/grid/, and print a table.

Every point is one run of `hybridgen simulate`, one after the other; none may take longer than --limit seconds.
A point that does not fit says which memory is short (status 3 is an answer here, not a failure).

Exit status 0: every point ran within the limit or does not fit.
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
MODELS = (
    "opt-6.7b opt-13b opt-30b opt-66b llama-2-7b llama-2-13b llama-2-70b qwen2.5-7b qwen2.5-14b qwen2.5-32b "
    "qwen2.5-72b"
).split()
PLATFORMS = "a100-40 h100-80 rtx-5090".split()
DOES_NOT_FIT = 3


def policies():
    return sorted(path.stem for path in (ROOT / "configs/grid").glob("*.yaml"))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--platforms", nargs="+", default=PLATFORMS)
    parser.add_argument("--policies", nargs="+", default=policies())
    parser.add_argument("--limit", type=float, default=5.0, help="seconds that one point may take (5)")
    parser.add_argument("--program", default=ROOT / "build/release/hybridgen", type=pathlib.Path)
    parser.add_argument("--out", default=ROOT / "results/grid.json", type=pathlib.Path, help="results as JSON")
    return parser.parse_args()


def simulate(program, model, platform, policy, limit):
    """One point: what the program's summary says, or why there is none."""
    command = [program, "simulate", f"configs/grid/{policy}.yaml", "--platform", platform, "--set", f"model={model}",
               "--json"]
    point = {"model": model, "platform": platform, "policy": policy}
    start = time.monotonic()
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        return {**point, "seconds": limit, "status": "too slow"}
    point["seconds"] = round(time.monotonic() - start, 3)
    if done.returncode == DOES_NOT_FIT:
        short = re.findall(r"^(\S+) is short by (.+)$", done.stderr, re.M)
        return {**point, "status": "does not fit", "short": dict(short)}
    if done.returncode != 0:
        return {**point, "status": "failed", "message": done.stderr.strip()}
    summary = json.loads(done.stdout)
    return {**point, "status": "done", "ttft_ms": summary["ttft_ms"], "tpot_ms": summary["tpot_ms"]["mean"],
            "tokens_per_s": summary["decode_tokens_per_s"], "notes": summary["notes"]}


def cell(point):
    if point["status"] == "done":
        stretched = any("assume_max_context" in note for note in point["notes"])
        return f"{point['tpot_ms']:.2f}" + ("*" if stretched else "")
    if point["status"] == "does not fit":
        return " ".join(f"{memory} -{short}" for memory, short in point["short"].items())
    return point["status"]


def table(points, models, platforms, names):
    rows = [["model", "platform", *names]]
    by_place = {(p["model"], p["platform"], p["policy"]): cell(p) for p in points}
    rows += [[m, p, *(by_place[m, p, name] for name in names)] for m in models for p in platforms]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(text.rjust(width) for text, width in zip(row, widths)) for row in rows)


def main():
    asked = arguments()
    points = [
        simulate(asked.program, model, platform, policy, asked.limit)
        for model in asked.models
        for platform in asked.platforms
        for policy in asked.policies
    ]
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_text(json.dumps(points, indent=1) + "\n", encoding="utf-8")
    print("TPOT in ms, simulated; quality: unknown. A memory with what it lacks: does not fit. "
          "*: the model was not made\nfor this context (assume_max_context).\n")
    print(table(points, asked.models, asked.platforms, asked.policies))
    counts = {status: sum(p["status"] == status for p in points) for status in ("done", "does not fit")}
    slowest = max(points, key=lambda p: p["seconds"])
    print(f"\n{len(points)} points: {counts['done']} simulated, {counts['does not fit']} do not fit; slowest "
          f"{slowest['seconds']} s ({slowest['model']}, {slowest['platform']}, {slowest['policy']}); {asked.out}")
    wrong = [p for p in points if p["status"] not in counts]
    for point in wrong:
        print(f"{point['model']} {point['platform']} {point['policy']}: {point['status']}: "
              f"{point.get('message', '')}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
