#!/usr/bin/env python3
"""Quality of KV policies on a real model, by a forward pass that shares no code with the program.

    evaluate.py --policy h2o --policy quest --json OUT         each at its own settings
    evaluate.py --policy snapkv --set generated=bound          a switch of a policy (fields of policies/*.py)
    evaluate.py --suite                                        every row of expected.json
    evaluate.py --suite --only infinigen                       those whose label begins so

The first --prompt tokens are prefilled with full attention; every later one is teacher-forced with the policy in force at
every layer. OUT is merged into where it exists: rows of the same label are replaced.
"""

import argparse
import dataclasses
import datetime
import hashlib
import json
import pathlib
import time

import numpy as np
from tokenizers import Tokenizer

import metrics
from model import Model
from policies import registry

ROOT = pathlib.Path(__file__).resolve().parents[2]
FITTED = {"lookahead": "use", "rank": 32, "correct": True, "sinks": 4}
RATIOS = (0.05, 0.01, 0.1, 0.2)

SUITE = [
    ("full", {}),
    ("hybridgen", {}),
    ("window", {}),
    ("streaming-llm", {}),
    ("h2o", {}),
    ("snapkv", {}),
    ("snapkv", {"generated": "bound"}),
    ("snapkv", {"generated": "slide"}),
    ("quest", {}),
    ("infinigen", {}),
    ("infinigen", {"alpha": 9.0}),
    ("infinigen", {"alpha": 9.0, "partial_ratio": 0.4}),
    ("streaming-llm", {"reindex": False}),
    ("infinigen", {"norm": "next"}),
    *(("hybridgen", {"lookahead": "choose", "ratio": ratio}) for ratio in RATIOS),
    *(("hybridgen", {"lookahead": "use", "ratio": ratio}) for ratio in RATIOS),
    *(("hybridgen", {**FITTED, "ratio": ratio}) for ratio in RATIOS),
    *(("hybridgen", {"ratio": ratio}) for ratio in RATIOS[1:]),
]


def label(name, policy):
    """The name, and every setting that is not the default."""
    changed = [
        f"{field.name}={getattr(policy, field.name)}"
        for field in dataclasses.fields(policy)
        if getattr(policy, field.name) != field.default
    ]
    return " ".join([name, *changed])


def make(name, settings):
    policy = registry()[name]
    known = {field.name: field.type for field in dataclasses.fields(policy)}
    unknown = set(settings) - set(known)
    if unknown:
        raise SystemExit(f"{name}: no setting {sorted(unknown)}; it has {sorted(known)}")
    return policy(**{key: parse(known[key], value) for key, value in settings.items()})


def parse(kind, value):
    if isinstance(value, str) and kind is bool:
        return {"true": True, "false": False}[value.lower()]
    return kind(value)


def read_ids(model, text, first):
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    ids = tokenizer.encode(text.read_bytes().decode("utf-8"), add_special_tokens=False).ids
    return np.array(ids[:first], "<i4")


def merge(path, header, row):
    """Writes after every policy: a long run that is cut short has lost nothing."""
    record = json.loads(path.read_text()) if path.exists() else {**header, "results": []}
    if {key: record[key] for key in header} != header:
        raise SystemExit(f"{path}: holds results of another text, prompt or KV type")
    record["results"] = [old for old in record["results"] if old["label"] != row["label"]] + [row]
    path.write_text(json.dumps(record, indent=1) + "\n")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--policy", action="append", default=[], choices=sorted(registry()))
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="for every --policy that has KEY")
    parser.add_argument("--budget", type=int, help="tokens, for every --policy that has a budget")
    parser.add_argument("--suite", action="store_true")
    parser.add_argument("--only", default="", help="with --suite: labels that begin so")
    parser.add_argument("--prompt", type=int, default=4096)
    parser.add_argument("--tokens", type=int, help="use only the first N tokens of the text")
    parser.add_argument("--kv", choices=("float16", "float32"), default="float16", help="how K and V are stored")
    parser.add_argument("--model", type=pathlib.Path, default=ROOT / "models/smollm2-135m-instruct")
    parser.add_argument("--text", type=pathlib.Path, default="/usr/share/common-licenses/GPL-3")
    parser.add_argument("--calibration", type=pathlib.Path, default="/usr/share/common-licenses/GFDL-1.3")
    parser.add_argument("--calibration-tokens", type=int, default=2048)
    parser.add_argument("--json", type=pathlib.Path)
    return parser.parse_args()


def wanted(options):
    given = dict(pair.split("=", 1) for pair in options.set)
    if options.budget:
        given["budget"] = options.budget
    single = [(name, pick(name, given)) for name in options.policy]
    policies = [(name, make(name, settings)) for name, settings in single + (SUITE if options.suite else [])]
    return [(name, policy) for name, policy in policies if label(name, policy).startswith(options.only)]


def pick(name, given):
    """A switch is for the policies that have it; one that none has is an error of the only policy named."""
    known = {field.name for field in dataclasses.fields(registry()[name])}
    return {key: value for key, value in given.items() if key in known}


def needs_calibration(policy):
    return hasattr(policy, "skew_of") or getattr(policy, "rank", 0) > 0


def main():
    options = arguments()
    policies = wanted(options)
    ids = read_ids(options.model, options.text, options.tokens)
    header = {
        "text": options.text.name,
        "tokens": len(ids),
        "ids_sha256": hashlib.sha256(ids.tobytes()).hexdigest(),
        "prompt": options.prompt,
        "kv": options.kv,
        "calibration": f"{options.calibration.name}, first {options.calibration_tokens} tokens",
    }
    model = Model(options.model, np.dtype(options.kv).type)
    output, later = model.weights["model.embed_tokens.weight"], ids[options.prompt : -1]
    calibration = None
    if any(needs_calibration(policy) for _, policy in policies):
        calibration = model.prefill(read_ids(options.model, options.calibration, options.calibration_tokens))
    cached = model.prefill(ids[: options.prompt])
    full, _ = model.decode(cached, later, make("full", {}))
    for name, policy in policies:
        start = time.monotonic()
        if needs_calibration(policy):
            policy.calibrate(model, calibration)
        hidden, rows = model.decode(cached, later, policy)
        row = {
            "label": label(name, policy),
            "policy": name,
            "settings": dataclasses.asdict(policy),
            "predictions": len(later),
            **metrics.compare(hidden, full, output, ids[options.prompt + 1 :]),
            "rows_per_query_head": round(rows.attended / rows.queries, 2),
            "seconds": round(time.monotonic() - start, 1),
            "date": datetime.date.today().isoformat(),
        }
        print(json.dumps(row), flush=True)
        if options.json:
            merge(options.json, header, row)


if __name__ == "__main__":
    main()
