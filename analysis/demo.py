#!/usr/bin/env python3
"""What `./dev demo` runs: measure this machine, let the simulator predict three policies, and only then run
them for real and hold the one against the other. Last, the scheduler's decisions in both worlds, in words.

Exit status 0: every step worked and every TPOT error is within max(25 %, 1.5 x spread of the repeats).
"""

import argparse
import json
import pathlib
import re
import shlex
import subprocess
import sys
import textwrap
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from analysis import results, table  # noqa: E402  (found only now)

POLICIES = ("full-gpu", "flexgen", "hybridgen")
SCHEDULED = "hybridgen-feedback"  # decides by measured times, so each world goes its own way: no error is quoted
QUALITY_FROM = 2048  # tokens prefilled with full attention, as many as the demo's prompt
QUALITY_TOKENS = 2560  # of the text that are used: some 500 predictions show the order, docs say what more shows


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--recalibrate", action="store_true", help="measure this machine anew")
    parser.add_argument("--no-quality", dest="quality", action="store_false",
                        help="leave out perplexity and KL on the real model (a minute)")
    parser.add_argument("--no-picture", action="store_true", help="only the table and the texts")
    parser.add_argument("--program", default="build/release/hybridgen", help="default: %(default)s")
    parser.add_argument("--configs", default="configs/demo", help="default: %(default)s")
    parser.add_argument("--platform", default="platform-models/local.yaml", help="default: %(default)s")
    parser.add_argument("--out", default="results/demo", help="default: %(default)s")
    return parser.parse_args()


class Demo:
    """Paths are as written on the command line, relative to the project; so are they in what it prints."""

    def __init__(self, options):
        self.options = options
        self.out = pathlib.Path(options.out)
        self.failures = []
        self.stories = {}  # by side: what the scheduler decided
        self.done = 0
        calibrates = options.recalibrate or not (ROOT / options.platform).exists()
        self.steps = (1 if calibrates else 0) + len(POLICIES) * (4 if options.quality else 3) + 2
        self.calibrates = calibrates

    def command(self, what, *words, keep=None):
        """Runs one step of the program; True when it worked. `keep`: its output goes to this file."""
        self.done += 1
        print(f"[{self.done}/{self.steps}] {what} ...", end=" ", flush=True)
        begin = time.monotonic()
        line = [self.options.program, *words]
        try:
            done = subprocess.run(
                line, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True, errors="replace", check=False,
            )
            status, output = done.returncode, done.stdout
        except OSError as error:
            status, output = None, str(error)
        print(f"{time.monotonic() - begin:.1f} s" if status == 0 else "FAILED", flush=True)
        if keep is not None and status == 0:
            (ROOT / keep).write_text(output, encoding="utf-8")
        if status != 0:
            self.failures.append(what)
            print(f"  {shlex.join(line)}\n  exit status {status}; its last words:")
            print(textwrap.indent("\n".join(output.splitlines()[-15:]), "    "), flush=True)
        return status == 0

    def calibrate(self):
        """A measurement that fails leaves the old one in place."""
        path = ROOT / self.options.platform
        old = path.with_suffix(".yaml.old")
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            path.replace(old)
        worked = self.command("calibrate: measure this machine", "calibrate", "--out", self.options.platform)
        if not worked and old.exists():
            old.replace(path)
        old.unlink(missing_ok=True)
        return worked

    def folder(self, policy, side):
        return str(self.out / f"{policy}-{side}")

    def quality_file(self, policy):
        return self.out / f"{policy}-quality.json"

    def config(self, policy):
        return f"{self.options.configs}/{policy}.yaml"

    def result(self, policy, side, what, command):
        """Runs and reads back; None when either failed. An older run's folder is never shown instead."""
        folder = self.folder(policy, side)
        if not self.command(what, command, self.config(policy), "--out", folder, "--force"):
            return None
        try:
            return results.load(ROOT / folder)
        except results.BadResult as error:
            self.failures.append(what)
            print(f"  {error}")
            return None

    def scheduled(self, side, what, command):
        """What the scheduler decided and why, line by line as the program told it."""
        kept = self.out / f"{SCHEDULED}-{side}.txt"
        line = [command, self.config(SCHEDULED), "--out", self.folder(SCHEDULED, side), "--force"]
        if not self.command(what, *line, keep=kept):
            return []
        text = (ROOT / kept).read_text(encoding="utf-8")
        return re.findall(r"^  scheduler +(.*)$", text, re.M)

    def compare(self, policy, simulated):
        real = self.result(policy, "real", f"run {policy} for real", "run")
        if real is None or simulated is None:
            self.done += 1
            print(f"[{self.done}/{self.steps}] validate {policy} ... left out, a side is missing")
        else:
            self.command(
                f"validate {policy}", "validate", self.folder(policy, "real"),
                self.folder(policy, "simulated"), keep=self.out / f"{policy}-validation.txt",
            )
        return table.Comparison(policy, real, simulated, self.quality(policy, real))

    def quality(self, policy, real):
        """What the policy costs in answers, on the text that was run; None where it was not measured."""
        if not self.options.quality or real is None:
            return None
        text = real.summary["prompt_file"]
        worked = self.command(
            f"quality of {policy}", "accuracy", self.config(policy), "--text", text, "--from", str(QUALITY_FROM),
            "--tokens", str(QUALITY_TOKENS), "--json", keep=self.quality_file(policy),
        )
        return json.loads((ROOT / self.quality_file(policy)).read_text(encoding="utf-8")) if worked else None

    def run(self):
        (ROOT / self.out).mkdir(parents=True, exist_ok=True)
        if self.calibrates and not self.calibrate():
            return []
        # Every prediction is made before anything is measured that it predicts.
        simulated = {
            policy: self.result(policy, "simulated", f"simulate {policy}", "simulate") for policy in POLICIES
        }
        self.stories["simulated"] = self.scheduled("simulated", f"simulate {SCHEDULED}", "simulate")
        comparisons = [self.compare(policy, simulated[policy]) for policy in POLICIES]
        self.stories["real"] = self.scheduled("real", f"run {SCHEDULED} for real", "run")
        return comparisons


def print_notes(comparisons):
    for comparison in comparisons:
        sides = [side for side in (comparison.real, comparison.simulated) if side]
        for note in dict.fromkeys(note for side in sides for note in side.notes):
            print(f"note, {comparison.policy}: {note}")
        if comparison.too_far:
            print(f"!, {comparison.policy}: the error exceeds {comparison.tolerance * 100:.0f} %")
        if comparison.same_plan is False:
            print(f"!, {comparison.policy}: real and simulated run decided differently")
        if comparison.simulated:
            source = comparison.simulated.summary.get("outcome_source", "unknown")
            if source not in ("fixed", "unknown"):
                print(f"note, {comparison.policy}: simulated outcomes are {source}")


def print_texts(comparisons):
    print("\nWhat each policy wrote:")
    for comparison in comparisons:
        text = comparison.real.summary.get("generated_text", "") if comparison.real else ""
        print(f"\n{comparison.policy}:")
        lines = textwrap.wrap(" ".join(text.split()) or "(nothing)", 98)
        print(textwrap.indent("\n".join(lines), "  "))


def print_stories(stories):
    print(f"\nWhat the scheduler of {SCHEDULED} decided, and why:")
    for side, lines in stories.items():
        print(f"\n{side}:")
        for line in lines or ["(nothing)"]:
            print(textwrap.fill(line, 98, initial_indent="  ", subsequent_indent="    "))


def draw(comparisons, path):
    """True when there is a picture; without matplotlib the demo goes on."""
    if not any(comparison.real or comparison.simulated for comparison in comparisons):
        return False
    try:
        from analysis import picture

        picture.draw(comparisons, path)
    except ImportError as error:
        print(f"no picture: {error}; ./dev setup installs matplotlib")
        return False
    return True


def main():
    options = arguments()
    if not (ROOT / options.program).exists():
        print(f"{options.program} is missing; ./dev build makes it", file=sys.stderr)
        return 1
    demo = Demo(options)
    comparisons = demo.run()
    if comparisons:
        print("\n" + table.to_text(comparisons))
        print_notes(comparisons)
        print_texts(comparisons)
        print_stories(demo.stories)
        picture_path = demo.out / "demo.png"
        drawn = not options.no_picture and draw(comparisons, ROOT / picture_path)
        print(f"\nEverything lies in {demo.out}/: POLICY-real and POLICY-simulated (trace.json opens in")
        print(f"ui.perfetto.dev), POLICY-validation.txt{', ' + picture_path.name if drawn else ''}")
        print(f"The machine as measured: {options.platform}")
    for what in demo.failures:
        print(f"failed: {what}")
    too_far = any(comparison.too_far for comparison in comparisons)
    return 1 if demo.failures or too_far or not comparisons else 0


if __name__ == "__main__":
    sys.exit(main())
