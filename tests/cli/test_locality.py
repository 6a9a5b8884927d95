"""The locality source as a user sees it: a fit of recorded runs, simulations that draw from it, and refusals."""

import csv
import json

import support
from support import ROOT, TRACE, CliTest

EXPERIMENT = ROOT / "tests/cli/threshold.yaml"
NO_END = ["--set", "workload.stop_at_end_of_sequence=false"]  # the trace did not stop either
SHIPPED = "configs/locality/smollm2-135m-instruct.yaml"


class LocalityTest(CliTest):
    def fit(self, *arguments):
        path = self.folder / "fit.yaml"
        return path, self.done("fit-locality", TRACE, "--out", path, *arguments)

    def simulated(self, out, fit, *arguments):
        self.done("simulate", EXPERIMENT, *NO_END, "--set", "outcomes.source=locality", "--set",
                  f"outcomes.from={fit}", "--out", self.folder / out, *arguments)
        return self.folder / out

    def test_fit_names_its_run_and_compares(self):
        path, text = self.fit("--hold-out", TRACE)
        written = path.read_text(encoding="utf-8")
        for part in ("run: smollm2-hybridgen-threshold", "text: GPL-3", "alpha 4", 'commit: "4419cc8f98ef-dirty"',
                     "alpha_milli: 4000"):
            self.assertIn(part, written)
        # One row of the fit, and the same run held out: the counts are drawn from one seed, so the rows are equal.
        rows = [line for line in text.splitlines() if "GPL-3, hybridgen with select threshold" in line]
        self.assertEqual(len(rows), 2, text)
        self.assertEqual(rows[0], rows[1])
        with open(TRACE / "outcomes.csv", newline="", encoding="utf-8") as file:
            counts = [int(row["count"]) for row in csv.DictReader(file)]
        recorded, drawn = map(float, rows[0].split()[:2])
        self.assertAlmostEqual(recorded, sum(counts) / len(counts), delta=0.05)
        self.assertLess(abs(drawn / recorded - 1), 0.1)

    def test_simulation_names_fit_and_repeats_with_its_seed(self):
        path, _ = self.fit()
        one, same = self.simulated("one", path), self.simulated("same", path)
        other = self.simulated("other", path, "--set", "seed=2")
        self.assertEqual(json.loads((one / "manifest.json").read_text())["outcome_source"],
                         "locality (fitted on smollm2-135m-instruct)")
        self.assertEqual((one / "outcomes.csv").read_text(), (same / "outcomes.csv").read_text())
        self.assertNotEqual((one / "outcomes.csv").read_text(), (other / "outcomes.csv").read_text())

    def test_result_can_be_run_again(self):
        path, _ = self.fit()
        one = self.simulated("one", path)
        self.done("simulate", one / "experiment.yaml", "--out", self.folder / "again")
        self.assertEqual((one / "outcomes.csv").read_text(), (self.folder / "again/outcomes.csv").read_text())

    def test_shipped_fit_serves_another_model_and_says_so(self):
        self.done("check", SHIPPED)
        text = self.done("simulate", "configs/h100/hybridgen.yaml", "--set", "policy.select_by=kv-group", "--set",
                         "workload.new_tokens=3", "--set", "outcomes.source=locality", "--set", f"outcomes.from={SHIPPED}")
        self.assertIn("outcomes        locality (fitted on smollm2-135m-instruct)", text)

    def test_refusals_say_what_to_do(self):
        path, _ = self.fit()
        out = self.folder / "other.yaml"
        simulated = self.simulated("simulated", path)
        locality = ["--set", "outcomes.source=locality"]
        for arguments, part in [
            (["fit-locality", TRACE, "--out", path], "exists; choose another, or replace it with --force"),
            (["fit-locality", TRACE], "--out is missing"),
            (["fit-locality", TRACE, "--out", self.folder], "is a folder; name a file"),
            (["fit-locality", TRACE, "--out", self.folder / "none/x.yaml"], "there is no folder"),
            (["fit-locality", self.folder / "none", "--out", out], "manifest.json"),
            (["fit-locality", simulated, "--out", out], "not from kernels; fit on real runs"),
            (["fit-locality", "--out", out], "RESULT_FOLDER"),
            (["simulate", EXPERIMENT, *locality], "outcomes.from: missing"),
            (["simulate", EXPERIMENT, *locality, "--set", "outcomes.from=none.yaml"], "none.yaml"),
            (["simulate", EXPERIMENT, *locality, "--set", f"outcomes.from={EXPERIMENT}"], "mean_rows"),
            (["simulate", EXPERIMENT, *locality, "--set", f"outcomes.from={path}"],
             "workload.stop_at_end_of_sequence: true, or simulate with false"),
            (["simulate", EXPERIMENT, *NO_END, *locality, "--set", f"outcomes.from={path}", "--set", "policy.alpha=5"],
             "alpha 5 was not fitted (runs with 4 to 4 were)"),
        ]:
            with self.subTest(arguments=arguments):
                result = support.run(*arguments)
                self.assertEqual((result.returncode, result.stdout), (2, ""), result.stderr)
                self.assertIn(part, result.stderr)
                self.assertFalse(out.exists())

    def test_force_replaces(self):
        path, _ = self.fit()
        before = path.read_text()
        path.write_text("old")
        self.done("fit-locality", TRACE, "--out", path, "--force")
        self.assertEqual(path.read_text(), before)


if __name__ == "__main__":
    support.main()
