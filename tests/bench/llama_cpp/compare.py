#!/usr/bin/env python3
"""Decode and prefill of SmolLM2 beside llama.cpp: same weights in fp16, fp16 KV, same threads, same contexts.

    ./dev bench llama.cpp                  all contexts, one and two threads, five repeats: about 20 minutes
    ./dev bench llama.cpp --contexts 512 --threads 1 --repeats 2

The two programs take turns, so that a machine that changes its speed changes both. Of llama.cpp the better of its
two flash-attention settings counts. Printed: medians of tokens per second, their spread (90th - 10th percentile over
the median) and the ratio's median over the repeats.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

import engine

REPOSITORY = pathlib.Path(__file__).resolve().parents[3]
HYBRIDGEN = REPOSITORY / "build" / "release" / "hybridgen"
MODEL = REPOSITORY / "models" / "smollm2-135m-instruct"
EXPERIMENT = REPOSITORY / "configs" / "demo" / "full-gpu.yaml"

PLATFORM = """\
platform: bench-{threads}
description: "{threads} threads play the device; rates are not used by a real run"
channels:
  - {{name: dram, kind: memory, bandwidth_GBps: 1, source: "not used"}}
memories:
  - {{name: device, kind: hbm, capacity_GiB: 6, channel: dram, source: "not used"}}
  - {{name: dram, kind: dram, capacity_GiB: 1, channel: dram, source: "not used"}}
processors:
  - name: device
    kind: host_device
    reaches: [{{memory: device, links: []}}]
    kernels: {{default: {{fixed_ns: 0, source: "not used"}}}}
  - name: host
    kind: cpu
    reaches: [{{memory: dram, links: []}}]
    kernels: {{default: {{fixed_ns: 0, source: "not used"}}}}
lanes:
  - {{name: device, processor: device, threads: {threads}, first_core: 0, roles: [device]}}
  - {{name: host, processor: host, threads: 1, first_core: 0, roles: [host, h2d, d2h]}}
copies:
  - {{from: dram, to: device, links: []}}
  - {{from: device, to: dram, links: []}}
copy_costs:
  h2d: {{fixed_ns: 0, bandwidth_GBps: 1, source: "not used"}}
  d2h: {{fixed_ns: 0, bandwidth_GBps: 1, source: "not used"}}
step_gap_ns: {{value: 0, source: "not used"}}
"""


def ours(platform, context, tokens):
    """Decoded tokens per second after a prompt of `context`, and prefilled tokens per second."""
    printed = subprocess.run(
        [HYBRIDGEN, "run", EXPERIMENT, "--platform", platform, "--json", "--set", "repeat=1",
         "--set", f"workload.prompt_tokens={context}", "--set", f"workload.new_tokens={tokens + 1}"],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    summary = json.loads(printed)
    return summary["decode_tokens_per_s"], context / summary["ttft_ms"] * 1e3


def theirs(program, gguf, threads, flash, *arguments):
    printed = subprocess.run(
        [program, "-m", gguf, "-t", str(threads), "-fa", str(flash), "-ctk", "f16", "-ctv", "f16", "-r", "1",
         "-o", "json", *map(str, arguments)],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    return json.loads(printed)[0]["avg_ts"]


def spread(values):
    ordered = sorted(values)
    low, high = ordered[len(ordered) // 10], ordered[-1 - len(ordered) // 10]
    return (high - low) / statistics.median(values)


def row(name, threads, context, own, other):
    """own: figures of each repeat; other: flash-attention setting to figures."""
    flash = max(other, key=lambda setting: statistics.median(other[setting]))
    best = other[flash]
    ratios = [mine / its for mine, its in zip(own, best)]
    return {
        "what": name,
        "threads": threads,
        "context": context,
        "hybridgen_tokens_per_s": round(statistics.median(own), 2),
        "hybridgen_spread": round(spread(own), 3),
        "llama_cpp_tokens_per_s": round(statistics.median(best), 2),
        "llama_cpp_spread": round(spread(best), 3),
        "flash_attention": flash,
        "ratio": round(statistics.median(ratios), 3),
        "ratio_least": round(min(ratios), 3),
        "ratio_most": round(max(ratios), 3),
    }


def show(result):
    print(
        f"{result['what']:8} {result['threads']} thread(s)  context {result['context']:5}  "
        f"hybridgen {result['hybridgen_tokens_per_s']:8.2f} tokens/s (spread {result['hybridgen_spread']:.0%})  "
        f"llama.cpp {result['llama_cpp_tokens_per_s']:8.2f} ({result['llama_cpp_spread']:.0%}, "
        f"flash attention {'on' if result['flash_attention'] else 'off'})  "
        f"ratio {result['ratio']:.2f} [{result['ratio_least']:.2f}, {result['ratio_most']:.2f}]",
        flush=True,
    )


def measure(options, program, gguf, platform, threads):
    for context in options.contexts:
        own, other = [], {0: [], 1: []}
        for _ in range(options.repeats):
            own.append(ours(platform, context, options.tokens)[0])
            for flash, figures in other.items():
                figures.append(theirs(program, gguf, threads, flash, "-p", 0, "-n", options.tokens, "-d", context))
        yield row("decode", threads, context, own, other)
    if options.prefill > 0:
        own, other = [], {0: [], 1: []}
        for _ in range(options.repeats):
            own.append(ours(platform, options.prefill, 1)[1])
            for flash, figures in other.items():
                figures.append(theirs(program, gguf, threads, flash, "-p", options.prefill, "-n", 0))
        yield row("prefill", threads, options.prefill, own, other)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--contexts", type=int, nargs="*", default=[512, 2048, 4096, 7500])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=64, help="new tokens per measurement")
    parser.add_argument("--prefill", type=int, default=4096, help="prompt of the prefill row; 0 leaves it out")
    parser.add_argument("--engine", type=pathlib.Path, default=engine.default_folder(REPOSITORY),
                        help="where llama.cpp is built")  # fmt: skip
    parser.add_argument("--json", type=pathlib.Path, help="write the rows here as well")
    options = parser.parse_args()
    if not (MODEL / "model.safetensors").exists():
        sys.exit(f"{MODEL} is missing; run ./dev setup")
    program = engine.llama_bench(options.engine)
    gguf = engine.gguf_of(MODEL, options.engine / "smollm2-135m-f16.gguf")
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for threads in options.threads:
            platform = pathlib.Path(folder) / f"bench-{threads}.yaml"
            platform.write_text(PLATFORM.format(threads=threads), encoding="utf-8")
            for result in measure(options, program, gguf, platform, threads):
                show(result)
                results.append(result)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
