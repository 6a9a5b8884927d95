"""hybridgen replay: the shipped trace is equal, a changed one is not."""

import json
import shutil

import support
from support import TRACE, CliTest


class Replay(CliTest):
    def setUp(self):
        super().setUp()
        self.copy = self.folder / "copy"
        shutil.copytree(TRACE, self.copy)

    def change(self, file, old, new):
        text = (self.copy / file).read_text(encoding="utf-8")
        self.assertIn(old, text)
        (self.copy / file).write_text(text.replace(old, new, 1), encoding="utf-8")

    def test_shipped_trace_equal_on_both_engines(self):
        manifest = json.loads((TRACE / "manifest.json").read_text(encoding="utf-8"))
        for engine in ("fluid", "simgrid"):
            text = self.done("replay", TRACE, "--engine", engine)
            self.assertIn("timeline equal, 8 steps", text)
            self.assertIn(manifest["decision_hash"], text)

    def test_simulated_result_equal_too(self):
        out = self.folder / "simulated"
        self.done("simulate", "tests/cli/threshold.yaml", "--out", out)
        self.assertIn("timeline equal", self.done("replay", out))

    def test_changed_decision_status_1_names_both_hashes(self):
        manifest = json.loads((self.copy / "manifest.json").read_text(encoding="utf-8"))
        self.change("decisions.jsonl", '"device_tokens":128', '"device_tokens":127')
        message = self.refused(1, "replay", self.copy)
        self.assertIn("timeline differs: decision hash: the decisions have ", message)
        self.assertIn(manifest["decision_hash"], message)

    def test_changed_count_status_1_names_step_and_op(self):
        lines = (self.copy / "outcomes.csv").read_text(encoding="utf-8").splitlines()
        fields = lines[1].split(",")
        fields[-1] = str(int(fields[-1]) - 1)
        self.change("outcomes.csv", lines[1], ",".join(fields))
        self.assertRegex(self.refused(1, "replay", self.copy), r"timeline differs: replay: step 1 op \d+ \(\w+\) moves")

    def test_changed_bytes_of_a_channel_status_1(self):
        step = (self.copy / "steps.csv").read_text(encoding="utf-8").splitlines()[2]
        self.change("steps.csv", step, step[:-1] + ("1" if step[-1] != "1" else "2"))
        self.assertRegex(self.refused(1, "replay", self.copy), r"differs: step 1, channel \d+, bytes: recorded was \d+")

    def test_changed_time_status_1(self):
        last = (self.copy / "ops.csv").read_text(encoding="utf-8").splitlines()[-1].split(",")
        changed = [*last[:6], str(int(last[6]) - 10**9), *last[7:]]
        self.change("ops.csv", ",".join(last), ",".join(changed))
        self.assertIn("but what it depends on ended at", self.refused(1, "replay", self.copy))

    def test_missing_file_status_2(self):
        (self.copy / "ops.csv").unlink()
        self.assertIn("ops.csv", self.refused(2, "replay", self.copy))


if __name__ == "__main__":
    support.main()
