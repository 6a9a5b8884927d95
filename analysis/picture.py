"""The demo's picture: left, TPOT real against simulated; right, one decode step on its lanes, real above
simulated. Colours are Okabe and Ito's, which colour-blind readers can tell apart."""

REAL = "#0072B2"
SIMULATED = "#E69F00"

# Kinds of ops by what they do for the reader of the picture; two dozen colours would say nothing.
GROUPS = (
    ("projections and FFN", "#999999", ("embed", "norm_qkv", "project_out", "ffn", "lm_head", "sample",
                                         "predict_query")),
    ("attention on the device", "#56B4E9", ("attend", "prefill_attend", "device_logits", "joint_attend", "keep_kv",
                                            "device_partial", "join_partials", "page_bounds", "select_pages",
                                            "attend_pages", "score_prompt", "keep_rows", "evict_row",
                                            "attend_kept", "row_logits", "fit_logits", "correct_scores",
                                            "partial_keys", "partial_select", "attend_fetched")),
    ("attention on the host", "#D55E00", ("host_logits", "select", "pack_rows", "host_attend", "pack_keys")),
    ("copies to the device", "#009E73", ("load_kv", "send_scores", "send_rows", "send_partial", "send_keys")),
    ("copies to the host", "#CC79A7", ("offload_kv", "send_query", "send_choice", "pool_row")),
)
LAYERS_SHOWN = 3  # a whole step is a comb of thirty equal teeth


def draw(comparisons, path):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(
        1, 2, figsize=(13, 5.2), width_ratios=(1, 2), layout="constrained"
    )
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    _bars(left, [c for c in comparisons if c.real or c.simulated])
    _lanes(right, _gantt_choice(comparisons))
    figure.savefig(path, dpi=150)
    plt.close(figure)


def _bars(axes, comparisons):
    width = 0.38
    for i, comparison in enumerate(comparisons):
        for side, colour, shift in (
            (comparison.real, REAL, -width / 2),
            (comparison.simulated, SIMULATED, width / 2),
        ):
            if side is None:
                continue
            bar = axes.bar(i + shift, side.tpot_ms, width, color=colour)
            top = side.tpot_ms
            repeats = side.repeats_ms if side is comparison.real else []
            if len(repeats) > 1:
                top = max(top, max(repeats))
                axes.vlines(i + shift, min(repeats), max(repeats), color="black", linewidth=1.5)
            axes.annotate(
                f"{side.tpot_ms:.3g}", (bar[0].get_x() + width / 2, top), (0, 3),
                textcoords="offset points", ha="center", va="bottom", fontsize=9,
            )
    axes.set_xticks(range(len(comparisons)), [comparison.policy for comparison in comparisons])
    axes.set_ylabel("time per output token (ms)")
    axes.margins(y=0.1)
    axes.set_title("Time per output token", loc="left")
    axes.legend(
        handles=[
            _patch(REAL, "real; line: range of the repeats"),
            _patch(SIMULATED, "simulated, before the real run"),
        ],
        frameon=False, fontsize=9, loc="upper center", bbox_to_anchor=(0.5, -0.12),
    )


def _patch(colour, label):
    from matplotlib.patches import Patch

    return Patch(color=colour, label=label)


def _gantt_choice(comparisons):
    """The hybrid policy where both its sides are there, else any policy that has both."""
    whole = [c for c in comparisons if c.real and c.simulated and c.real.decode_steps()]
    return next((c for c in whole if c.policy == "hybridgen"), whole[-1] if whole else None)


def median_decode_step(result):
    """The id of the decode step of middle length."""
    steps = sorted(result.decode_steps(), key=lambda step: step["end_ns"] - step["start_ns"])
    return steps[(len(steps) - 1) // 2]["step"]


def shown_ops(result, step, layers):
    """Ops of these layers in one step, with times in us since the first layer's projection began, so that
    both sides start together. Evictions that ran before belong to the step, not to the picture."""
    ops = [op for op in result.ops_of(step) if op["layer"] in layers]
    origin = min(op["start_ns"] for op in ops if op["kind"] == "norm_qkv")
    return [
        (op["lane"], op["kind"], (op["start_ns"] - origin) / 1e3, (op["end_ns"] - op["start_ns"]) / 1e3)
        for op in ops
        if op["end_ns"] > origin
    ]


def _lanes(axes, comparison):
    if comparison is None:
        axes.text(0.5, 0.5, "no policy ran on both sides", ha="center", transform=axes.transAxes)
        axes.set_axis_off()
        return
    step = median_decode_step(comparison.real)
    count = 1 + max(op["layer"] for op in comparison.real.ops_of(step))
    first = min(count // 2, max(0, count - LAYERS_SHOWN))  # the middle: neither start nor end of the step
    layers = range(first, min(count, first + LAYERS_SHOWN))
    sides = [
        ("real", shown_ops(comparison.real, step, layers)),
        ("simulated", shown_ops(comparison.simulated, step, layers)),
    ]
    lanes = list(dict.fromkeys(op["lane"] for op in comparison.real.ops_of(step)))
    rows = _draw_rows(axes, sides, lanes)
    axes.set_yticks([y for y, _ in rows], [label for _, label in rows])
    axes.set_ylim(rows[-1][0] + 0.6, rows[0][0] - 1.0)  # downwards, with room for the first word
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(left=0)
    axes.set_xlabel(f"time since layer {first} began (µs)")
    axes.set_title(
        f"{comparison.policy}: layers {first} to {layers[-1]} of decode step {step}", loc="left"
    )
    used = {kind for _, ops in sides for _, kind, _, _ in ops}
    axes.legend(
        handles=[_patch(colour, name) for name, colour, kinds in GROUPS if used & set(kinds)],
        frameon=False, fontsize=9, ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.12),
    )


def _draw_rows(axes, sides, lanes):
    """Draws and returns (y, lane name) per row; the sides are told apart by a gap and a word."""
    colour_of = {kind: colour for _, colour, kinds in GROUPS for kind in kinds}
    rows = []
    y = 0.0
    for name, ops in sides:
        axes.text(0.0, y - 0.55, name, fontweight="bold", fontsize=10, va="bottom")
        for lane in lanes:
            for _, kind, start, length in (op for op in ops if op[0] == lane):
                axes.broken_barh(
                    [(start, length)], (y - 0.4, 0.8),
                    facecolors=colour_of.get(kind, "black"), edgecolor="white", linewidth=0.4,
                )
            rows.append((y, lane))
            y += 1
        y += 0.9
    return rows
