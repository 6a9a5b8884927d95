#!/usr/bin/env python3
"""Stands in for the program: writes result folders with times made up here, so that the demo can be tested in
a second. Each call is a line of $FAKE_LOG; a call whose line contains $FAKE_FAIL fails."""

import json
import os
import pathlib
import sys

LANES = ("device threads", "host threads")
# kind, lane, microseconds: one layer of each policy's decode step, in order.
DENSE = [("project_out", 0, 40), ("ffn", 0, 160)]
LAYERS = {
    "full-gpu": [("norm_qkv", 0, 60), ("attend", 0, 220), *DENSE],
    "flexgen": [("norm_qkv", 0, 60), ("load_kv", 1, 420), ("attend", 0, 220), ("offload_kv", 1, 4), *DENSE],
    "hybridgen": [
        ("norm_qkv", 0, 60), ("send_query", 1, 3), ("device_logits", 0, 60), ("host_logits", 1, 75),
        ("select", 1, 30), ("pack_rows", 1, 12), ("send_scores", 1, 4), ("send_rows", 1, 9),
        ("joint_attend", 0, 70), *DENSE,
    ],
}  # fmt: skip
JOINS = ("attend", "joint_attend", "send_query")  # start when every lane is free
LAYER_COUNT = 6
DECODE_STEPS = 5


def timeline(policy, factor):
    steps, ops, now = [], [], 0
    for step in range(1 + DECODE_STEPS):
        start, lane_free, number = now, [now] * len(LANES), 0
        for layer in range(LAYER_COUNT):
            for kind, lane, us in LAYERS[policy]:
                duration = int(us * 1000 * factor * (10 if step == 0 else 1 + 0.01 * step))
                begin = max(lane_free) if kind in JOINS else lane_free[lane]
                lane_free[lane] = begin + duration
                ops.append((step, number, kind, LANES[lane], layer, 0, begin, begin + duration, us * 1000))
                number += 1
        now = max(lane_free)
        phase = "prefill" if step == 0 else "decode"
        steps.append((step, phase, start, now))
        now += 20_000
    return steps, ops


def write(folder, policy, real, factor):
    folder.mkdir(parents=True, exist_ok=True)
    steps, ops = timeline(policy, factor)
    decode = [(end - start) / 1e6 for _, phase, start, end in steps if phase == "decode"]
    mean = sum(decode) / len(decode)
    summary = {
        "executor": "host" if real else "simgrid", "policy": policy, "platform": "local", "model": "fake",
        "prompt_file": "text", "prompt_tokens": 2048, "new_tokens": 6, "ttft_ms": 20.0,
        "tpot_ms": {"mean": mean, "p50": mean, "p90": mean, "p99": mean},
        "decode_tokens_per_s": 1000 / mean,
        "bytes_moved": {"hbm": 3_210_000_000, "dram": 0 if policy == "full-gpu" else 1_234_000_000,
                        "pcie": 0},
        "tier_peak_bytes": {"hbm": 412_000_000, "dram": 0 if policy == "full-gpu" else 41_000_000},
        "decision_hash": "0123456789abcdef", "outcome_source": "kernels" if real else "fixed",
        "quality": "unknown", "repeats": [mean * f for f in (1, 0.97, 1.04, 1.01, 0.99)] if real else [mean],
        "notes": [],
    }  # fmt: skip
    if real:
        summary["generated_text"] = f"The {policy} policy wrote this, and the licence goes on as ever. " * 3
    (folder / "summary.json").write_text(json.dumps(summary))
    (folder / "manifest.json").write_text(json.dumps({"emulated_tiers": []}))
    with (folder / "steps.csv").open("w") as file:
        print("step,phase,start_ns,end_ns", file=file)
        for row in steps:
            print(*row, sep=",", file=file)
    with (folder / "ops.csv").open("w") as file:
        print("step,op,kind,lane,layer,request,start_ns,end_ns,bytes", file=file)
        for row in ops:
            print(*row, sep=",", file=file)


def main():
    line = " ".join(sys.argv[1:])
    if "FAKE_LOG" in os.environ:
        with open(os.environ["FAKE_LOG"], "a", encoding="utf-8") as log:
            print(line, file=log)
    if os.environ.get("FAKE_FAIL", "\0") in line:
        print("fake: told to fail", file=sys.stderr)
        return 1
    command = sys.argv[1]
    if command == "calibrate":
        pathlib.Path(sys.argv[3]).write_text("name: local\n")
    elif command in ("run", "simulate"):
        factor = 1.0 if command == "run" else float(os.environ.get("FAKE_FACTOR", "1.06"))
        policy = pathlib.Path(sys.argv[2]).stem
        write(pathlib.Path(sys.argv[4]), policy.removesuffix("-feedback"), command == "run", factor)
        print("  TPOT            1 ms")
        if policy.endswith("-feedback"):
            print(f"  scheduler       step 5: the host of the {command} is late, so it takes less")
            print("  scheduler       the selected rows came to rest")
    elif command == "accuracy":
        print(json.dumps({"perplexity": 13.5, "reference_perplexity": 13.25, "mean_kl": 0.0061}))
    else:
        print(f"{command}: fine")
    return 0


if __name__ == "__main__":
    sys.exit(main())
