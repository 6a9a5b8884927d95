"""The table that the demo ends with: real against simulated, policy by policy."""

import dataclasses

from analysis import results

HEADINGS = (
    "policy",
    "TPOT real ms",
    "TPOT simulated ms",
    "error %",
    "spread of the repeats %",
    "bytes per channel, whole run",
    "peak bytes per tier",
    "quality",
)
LEAST_TOLERANCE = 0.25  # what the demo lets pass on an unknown, busy machine; validation has its own bars
SPREADS_TOLERATED = 1.5


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One policy on both sides; a side that failed is None."""

    policy: str
    real: results.Result | None
    simulated: results.Result | None
    quality: dict | None = None  # of the real model under the policy; None: not measured

    @property
    def error(self):
        if self.real is None or self.simulated is None or self.real.tpot_ms is None:
            return None
        return results.relative_error(self.real.tpot_ms, self.simulated.tpot_ms)

    @property
    def spread(self):
        return None if self.real is None else results.spread(self.real.repeats_ms)

    @property
    def tolerance(self):
        return max(LEAST_TOLERANCE, SPREADS_TOLERATED * (self.spread or 0))

    @property
    def too_far(self):
        return self.error is not None and abs(self.error) > self.tolerance

    @property
    def same_plan(self):
        """None where one side is missing."""
        if self.real is None or self.simulated is None:
            return None
        return self.real.summary["decision_hash"] == self.simulated.summary["decision_hash"]


def human_bytes(count):
    """Three digits are enough to compare; the exact count is in summary.json."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB" if count < 1000 else f"{count:.0f} TB"


def byte_lines(comparison, key):
    """One line per channel or tier that saw a byte; the simulated count only where it reads differently."""
    sides = [side.summary.get(key, {}) if side else {} for side in (comparison.real, comparison.simulated)]
    names = list(dict.fromkeys([*sides[0], *sides[1]]))
    lines = []
    for name in names:
        shown = [human_bytes(side[name]) if name in side else "-" for side in sides]
        if not any(side.get(name) for side in sides):
            continue
        lines.append(f"{name} {shown[0]}" if shown[0] == shown[1] else f"{name} {shown[0]} (sim. {shown[1]})")
    return lines or ["-"]


def quality_lines(comparison):
    quality = comparison.quality
    if quality is None:
        return ["unknown"]
    return [
        f"perplexity {quality['perplexity']:.3f}",
        f"(full {quality['reference_perplexity']:.3f})",
        f"mean KL {quality['mean_kl']:.5f}",
    ]


def _percent(value, signed=True):
    if value is None:
        return "-"
    return f"{value * 100:+.1f}" if signed else f"{value * 100:.1f}"


def _ms(result):
    if result is None:
        return "failed"
    return "-" if result.tpot_ms is None else f"{result.tpot_ms:.3f}"


def cells(comparison):
    """Each cell is a list of lines."""
    return [
        [comparison.policy],
        [_ms(comparison.real)],
        [_ms(comparison.simulated)],
        [_percent(comparison.error) + (" !" if comparison.too_far else "")],
        [_percent(comparison.spread, signed=False)],
        byte_lines(comparison, "bytes_moved"),
        byte_lines(comparison, "tier_peak_bytes"),
        quality_lines(comparison),
    ]


def to_text(comparisons):
    rows = [cells(comparison) for comparison in comparisons]
    # Long headings wrap, so that the table fits a terminal.
    heads = [_wrapped(heading) for heading in HEADINGS]
    widths = [max(len(line) for row in [heads, *rows] for line in row[i]) for i in range(len(HEADINGS))]
    rule = "-+-".join("-" * width for width in widths)
    lines = _lines(heads, widths)
    for row in rows:
        lines.append(rule)
        lines.extend(_lines(row, widths))
    return "\n".join(line.rstrip() for line in lines)


def _wrapped(heading):
    head, _, tail = heading.partition(", ")
    if tail:
        return [head + ",", tail]
    first, _, rest = heading.partition(" ")
    return [first, rest] if rest else [first]


def _lines(row, widths):
    height = max(len(cell) for cell in row)
    lines = []
    for i in range(height):
        parts = []
        for column, (cell, width) in enumerate(zip(row, widths)):
            text = cell[i] if i < len(cell) else ""
            parts.append(text.rjust(width) if 1 <= column <= 4 else text.ljust(width))
        lines.append(" | ".join(parts))
    return lines
