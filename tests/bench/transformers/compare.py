#!/usr/bin/env python3
"""Decode steps of Hugging Face transformers with a resident and an offloaded KV cache, beside bench-machine's.

    ./dev bench transformers --beside results/h100 --out results/h100/transformers.json    on a machine with a GPU
    ./dev bench transformers --device cpu --shape small --context 256                      a trial without one

Wants a Python with torch and transformers (PYTHON names one; else python3), no network and nothing of this project
built. As in bench-machine's decode stages: made-up weights, batch 1, random KV and no prefill. The caches take turns.
Before anything is timed, decode over each cache is held against recomputing every token; after it, the logits of the
timed steps against the resident cache's. A figure whose logits were off is marked "!" and nothing is held against it.

Exit status: 0 done, 1 an answer was wrong, 2 bad input, 3 does not fit in memory, 4 not possible on this machine.
"""

import argparse
import datetime
import json
import pathlib
import statistics
import subprocess
import sys

SHAPES = ("llama-3.1-8b", "small")
BESIDE = ("full-gpu", "flexgen", "flexgen-cpu-attention")  # and every system whose name starts with hybridgen
COLUMNS = ("context", "system", "ms per step", "range", "tokens/s", "KV MB", "KV GB/s", "offloaded / it", "logits off")


def fail(status, message):
    print(f"transformers: {message}", file=sys.stderr)
    sys.exit(status)


class Parser(argparse.ArgumentParser):
    def error(self, message):
        fail(2, f"{message}; --help says more")


def positive(text):
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of at least 1")
    return int(text)


def options_of(arguments):
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.add_argument("--context", type=positive, action="append", help="tokens; repeatable; 8192 and 32768")
    parser.add_argument("--cache", choices=("resident", "offloaded", "both"), help="both; on a CPU resident")
    parser.add_argument("--steps", type=positive, default=16, help="timed steps per repeat")
    parser.add_argument("--warmup", type=positive, default=3, help="steps before them")
    parser.add_argument("--repeats", type=positive, default=3, help="times that the cache is filled anew")
    parser.add_argument("--shape", choices=SHAPES, default=SHAPES[0])
    parser.add_argument("--layers", type=positive, help="so many instead of the shape's")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--beside", type=pathlib.Path, metavar="DIR", help="results of hybridgen bench-machine")
    parser.add_argument("--out", type=pathlib.Path, metavar="FILE", help="write everything here as JSON as well")
    options = parser.parse_args(arguments)
    options.context = list(dict.fromkeys(options.context or [8192, 32768]))
    options.cache = options.cache or ("both" if options.device == "cuda" else "resident")
    if options.device == "cpu" and options.cache != "resident":
        fail(2, f"--cache {options.cache} wants --device cuda: a CPU has nowhere to offload to")
    if options.beside and options.layers:
        fail(2, "--beside wants the whole model: leave --layers out")
    if options.out and not options.out.absolute().parent.is_dir():
        fail(2, f"--out: {options.out.absolute().parent} is no folder")
    return options


def beside(folder, context, shape):
    """The file's card and commit, and a row per system, of bench-machine's stage of this context."""
    path = folder / f"decode-{context / 1024:g}k.json"
    try:
        stage = json.loads(path.read_text(encoding="utf-8"))
        figures = [each for each in stage["figures"] if each["quantity"] == "step time"]
        rows = [
            {"context": context, "system": each["subject"], "ms": each["value"], "spread": each["spread"]}
            for each in figures
            if each["condition"] == f"{context} tokens, {shape}"
            and (each["subject"] in BESIDE or each["subject"].startswith("hybridgen"))
        ]
        source = {key: stage[key] for key in ("card", "commit", "date")}
    except OSError as error:
        fail(2, f"{path}: {error.strerror}; hybridgen bench-machine --stage {path.stem} writes it")
    except (ValueError, KeyError, TypeError) as error:
        fail(2, f"{path} is not a stage of hybridgen bench-machine: {error!r}")
    if not rows:
        fail(2, f"{path} has no step time of {context} tokens of {shape}")
    return source, rows


def row(context, name, times, kv_bytes, logits_off, bound):
    """One cache's figures: medians over the timed steps of all repeats."""
    median = statistics.median(times)
    return {
        "context": context,
        "system": f"transformers, {name}",
        "ms": median,
        "ms_least": min(times),
        "ms_most": max(times),
        "kv_bytes": kv_bytes,
        "kv_GBps": kv_bytes / median / 1e6,
        "step_ms": times,
        "logits_off": logits_off,
        "right": logits_off is None or logits_off <= bound,
    }


def with_ratios(rows):
    """Adds tokens/s, and how often each row's step fits into one of the fastest right offloaded cache."""
    for each in rows:
        offloaded = [
            other["ms"]
            for other in rows
            if other["context"] == each["context"] and "transformers, offloaded" in other["system"] and other["right"]
        ]
        each["tokens_per_s"] = 1e3 / each["ms"]
        each["ratio"] = min(offloaded) / each["ms"] if offloaded and each.get("right", True) else None
    return rows


def cells(each):
    spread = f"{each['ms_least']:.2f} - {each['ms_most']:.2f}" if "ms_least" in each else f"spread {each['spread']:.1%}"
    logits = each.get("logits_off")
    return (
        f"{each['context']:,}",
        each["system"],
        f"{each['ms']:.2f}",
        spread,
        f"{each['tokens_per_s']:.1f}",
        f"{each['kv_bytes'] / 1e6:,.1f}" if "kv_bytes" in each else "",
        f"{each['kv_GBps']:.1f}" if "kv_GBps" in each else "",
        f"{each['ratio']:.2f}" if each["ratio"] is not None else "",
        "" if logits is None else f"{logits:.1e}" + ("" if each["right"] else " !"),
    )


def table(rows):
    lines = [COLUMNS, *map(cells, rows)]
    widths = [max(map(len, column)) for column in zip(*lines)]
    for line in lines:
        yield " | ".join(
            cell.ljust(width) if column == 1 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths))
        ).rstrip()


def driver():
    try:
        command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return None


def decode_or_fail(device):
    try:
        import decode
    except ImportError as error:
        fail(4, f"{sys.executable} lacks torch or transformers ({error}): python3 -m pip install torch transformers")
    if device == "cuda" and not decode.torch.cuda.is_available():
        fail(4, "torch finds no CUDA device here; --device cpu --shape small tries the rest")
    return decode


def measured(decode, options):
    """Everything that is measured here; ends the program where decode is wrong from the start."""
    makers = decode.caches(options.cache)
    surest, errors = next(iter(makers)), decode.check(makers, options.device)
    for name, error in errors.items():
        print(f"check: cache '{name}': decode is off by {error:.1e}, bound {decode.CHECK_BOUND:.0e}", flush=True)
    wrong = [name for name, error in errors.items() if not error <= decode.CHECK_BOUND]
    if surest in wrong:
        fail(1, "decode does not give what recomputing gives, so nothing was timed")
    on_card = options.device == "cuda"
    result = {
        "card": decode.torch.cuda.get_device_name() if on_card else "cpu",
        "driver": driver() if on_card else None,
        "h2d_GBps": decode.link_gb_per_s() if on_card else None,
        "torch": decode.torch.__version__,
        "transformers": decode.transformers.__version__,
        "date": datetime.date.today().isoformat(),
        **{key: getattr(options, key) for key in ("shape", "layers", "steps", "warmup", "repeats")},
        "check": errors,
        "wrong": wrong,
        "rows": [],
    }
    positions = max(options.context) + options.warmup + options.steps
    model = decode.model_of(options.shape, options.layers, decode.torch.float16, options.device, positions)
    makers = {name: make for name, make in makers.items() if name not in wrong}
    for context in options.context:
        print(f"{context:,} tokens", file=sys.stderr)
        for name, times, off in decode.measure(model, makers, options, context):
            result["rows"].append(row(context, name, times, decode.kv_bytes(model, context), off, decode.STEP_BOUND))
            if not result["rows"][-1]["right"]:
                wrong.append(f"{name}, {context:,} tokens")
    return result


def show(result):
    named = {key: value for key, value in result.items() if isinstance(value, (str, int, float))}
    print(", ".join(f"{key} {value:.4g}" if key == "h2d_GBps" else f"{key} {value}" for key, value in named.items()))
    print("\n".join(table(result["rows"])))
    for source in result["beside"]:
        print(f"beside: {source['card']}, commit {source['commit']}, {source['date']}")
        if not source["card"].startswith(result["card"]):
            print(f"NOTE: another card than {result['card']}: these ratios compare machines")


def main(arguments=None):
    options = options_of(arguments)
    others = [beside(options.beside, each, options.shape) for each in options.context] if options.beside else []
    decode = decode_or_fail(options.device)
    try:
        result = measured(decode, options)
    except decode.Unavailable as error:
        fail(4, str(error))
    except decode.torch.cuda.OutOfMemoryError as error:
        fail(3, str(error).splitlines()[0])
    rows = result["rows"] + [each for _, rows in others for each in rows]
    result["rows"] = with_ratios(sorted(rows, key=lambda each: options.context.index(each["context"])))
    result["beside"] = [source for source, _ in others]
    show(result)
    if options.out:
        options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if result["wrong"]:
        fail(1, f"wrong answers: {'; '.join(result['wrong'])}")


if __name__ == "__main__":
    main()
