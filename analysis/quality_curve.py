#!/usr/bin/env python3
"""Draws what `hybridgen quality-curve --json` printed: quality against bytes, a line per policy.

    hybridgen quality-curve ... --json > curve.json
    .venv/bin/python analysis/quality_curve.py curve.json --out curve.png
"""

import argparse
import json
import pathlib
import sys


def series(document):
    """Name -> rows by falling bytes, in the order of the document."""
    lines = {}
    for row in document["policies"]:
        lines.setdefault(row["name"], []).append(row)
    for rows in lines.values():
        rows.sort(key=lambda row: -row["attention_bytes_per_token"])
    return lines


def draw(document, path):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.5), layout="constrained")
    for name, rows in series(document).items():
        if all(row["mean_kl"] == 0 for row in rows):
            continue  # full attention: its bytes are the right edge, its KL no point of a logarithmic axis
        axes.errorbar(
            [row["attention_bytes_per_token"] / 1e6 for row in rows],
            [row["mean_kl"] for row in rows],
            yerr=[row["mean_kl_error"] for row in rows],
            marker="o",
            capsize=3,
            label=name,
        )
    axes.set(xscale="log", yscale="log", xlabel="MB that attention moves per token", ylabel="mean KL to full attention, nats")
    axes.grid(alpha=0.3, which="both")
    if axes.has_data():
        axes.legend()
    figure.savefig(path, dpi=150)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("curve", type=pathlib.Path, help="the JSON that quality-curve printed")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="the picture to write")
    arguments = parser.parse_args()
    try:
        draw(json.loads(arguments.curve.read_text(encoding="utf-8")), arguments.out)
    except (OSError, ValueError, KeyError) as error:
        sys.exit(f"{arguments.curve}: {error}; expected what `hybridgen quality-curve --json` prints")
    except ImportError:
        sys.exit("matplotlib is missing; run ./dev setup and use .venv/bin/python")


if __name__ == "__main__":
    main()
