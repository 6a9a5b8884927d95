"""A result folder in memory. Nothing is recomputed that the folder already says."""

import csv
import dataclasses
import json
import pathlib
import statistics

TEXT_COLUMNS = ("kind", "lane", "phase", "structure_hash")  # the others are integers


class BadResult(Exception):
    """The folder is missing, incomplete or damaged; the message names the file."""


@dataclasses.dataclass(frozen=True)
class Result:
    folder: pathlib.Path
    summary: dict
    manifest: dict
    steps: list  # of dicts by column name: integers, but for phase and structure_hash
    ops: list  # of dicts by column name: integers, but for kind and lane

    @property
    def tpot_ms(self):
        """None where no step decoded."""
        return self.summary["tpot_ms"]["mean"]

    @property
    def repeats_ms(self):
        """Mean TPOT of each repeat; none of runs without a decode step."""
        return [repeat_tpot_ms(repeat) for repeat in self.summary.get("repeats", []) if repeat is not None]

    @property
    def notes(self):
        notes = list(self.summary.get("notes", []))
        emulated = self.manifest.get("emulated_tiers", [])
        used = [tier for tier in emulated if self.summary.get("tier_peak_bytes", {}).get(tier, 0) > 0]
        if used:
            notes.append(f"emulated tiers, no evidence about real ones: {', '.join(used)}")
        return notes

    def decode_steps(self):
        return [step for step in self.steps if step["phase"] == "decode"]

    def ops_of(self, step):
        return [op for op in self.ops if op["step"] == step]


def repeat_tpot_ms(repeat):
    """A repeat is its mean TPOT in ms, or an object that has it."""
    if isinstance(repeat, dict):
        tpot = repeat["tpot_ms"]
        return float(tpot["mean"] if isinstance(tpot, dict) else tpot)
    return float(repeat)


def spread(values):
    """(largest - smallest) / median; None of fewer than two: one run has no spread."""
    if len(values) < 2:
        return None
    # The lower of two middles, as the validation takes it.
    return (max(values) - min(values)) / statistics.median_low(values)


def relative_error(real, simulated):
    return (simulated - real) / real


def load(folder):
    folder = pathlib.Path(folder)
    return Result(
        folder,
        _json(folder / "summary.json"),
        _json(folder / "manifest.json"),
        _csv(folder / "steps.csv"),
        _csv(folder / "ops.csv"),
    )


def _json(path):
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadResult(f"{path}: {error}") from error


def _csv(path):
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [_typed(row) for row in csv.DictReader(file)]
    except (OSError, ValueError, TypeError) as error:
        raise BadResult(f"{path}: {error}") from error


def _typed(row):
    return {name: text if name in TEXT_COLUMNS else int(text) for name, text in row.items()}
