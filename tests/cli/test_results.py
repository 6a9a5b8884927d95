"""Result folders: equal runs give equal bytes, nothing of the user's is lost, and a killed run leaves no result."""

import time

import support
from support import CliTest, is_whole, kill_after, kill_while_writing, run, snapshot

# Seeded outcomes: counts that a run draws, so that equality is more than equal arithmetic.
EXPERIMENT = ["configs/h100/hybridgen.yaml", "--set", "policy.placement=unified"]
THRESHOLD = "tests/cli/threshold.yaml"
# Minutes of simulation: whoever refuses it within seconds did so before he began.
LONG = ["simulate", "configs/h100/hybridgen.yaml", "--set", "workload.new_tokens=90000"]
SOON_S = 10


class Determinism(CliTest):
    def result(self, name, *arguments):
        self.done("simulate", *arguments, "--out", self.folder / name)
        files = snapshot(self.folder / name)
        manifest = files["manifest.json"].decode().splitlines()
        created = [line for line in manifest if '"created": ' in line]
        self.assertEqual(len(created), 1)
        files["manifest.json"] = [line for line in manifest if line != created[0]]
        return files

    def test_two_simulations_equal_bytes_but_for_created(self):
        for engine in ("simgrid", "fluid"):
            for name, experiment in [("top-k", EXPERIMENT), ("threshold", [THRESHOLD])]:
                with self.subTest(engine=engine, experiment=name):
                    first = self.result(f"{name}-{engine}-1", *experiment, "--engine", engine)
                    second = self.result(f"{name}-{engine}-2", *experiment, "--engine", engine)
                    self.assertEqual(len(first), 10)
                    self.assertEqual(sorted(first), sorted(second))
                    for file, content in first.items():
                        self.assertEqual(content, second[file], file)

    def test_another_seed_other_outcomes(self):
        first = self.result("seed-1", THRESHOLD)
        second = self.result("seed-2", THRESHOLD, "--set", "seed=2")
        self.assertNotEqual(first["outcomes.csv"], second["outcomes.csv"])
        self.assertEqual(first["platform.yaml"], second["platform.yaml"])

    def test_result_runs_again_to_the_same_result(self):
        first = self.result("first", THRESHOLD)
        again = self.result("again", self.folder / "first" / "experiment.yaml")
        self.assertEqual(first["decisions.jsonl"], again["decisions.jsonl"])
        self.assertEqual(first["ops.csv"], again["ops.csv"])

    def test_both_engines_equal_plan_and_bytes(self):
        fluid = self.result("fluid", THRESHOLD, "--engine", "fluid")
        simgrid = self.result("simgrid", THRESHOLD, "--engine", "simgrid")
        for file in ("decisions.jsonl", "outcomes.csv", "experiment.yaml"):
            self.assertEqual(fluid[file], simgrid[file], file)


class OutFolder(CliTest):
    def soon_refused(self, *arguments):
        began = time.monotonic()
        message = self.refused(2, *arguments)
        self.assertLess(time.monotonic() - began, SOON_S)
        return message

    def test_existing_result_refused_before_anything_long_starts(self):
        out = self.folder / "out"
        self.done("simulate", THRESHOLD, "--out", out)
        for spelling in (out, f"{out}/", f"{self.folder}/./out"):
            self.assertIn("exists; choose another --out, or replace it with --force",
                          self.soon_refused(*LONG, "--out", spelling))

    def test_what_is_no_result_is_never_deleted(self):
        (self.folder / "photos").mkdir()
        (self.folder / "photos" / "one.jpg").write_text("precious")
        (self.folder / "empty").mkdir()
        (self.folder / "file").write_text("precious")
        (self.folder / "link").symlink_to(self.folder / "photos")
        for name in ("photos", "empty", "file", "link"):
            for force in ([], ["--force"]):
                with self.subTest(name=name, force=force):
                    message = self.soon_refused(*LONG, "--out", self.folder / name, *force)
                    self.assertIn("is no result folder", message)

    def test_names_no_folder_or_no_writable_place(self):
        (self.folder / "file").write_text("")
        for out in (".", "/", self.folder / "file" / "out"):
            with self.subTest(out=out):
                self.assertIn("output folder", self.soon_refused(*LONG, "--out", out))

    def test_force_replaces_a_result_and_leaves_nothing_beside_it(self):
        out = self.folder / "out"
        self.done("simulate", THRESHOLD, "--out", out)
        before = snapshot(out)
        self.done("simulate", THRESHOLD, "--out", out, "--force", "--set", "workload.new_tokens=4")
        self.assertNotEqual(snapshot(out)["steps.csv"], before["steps.csv"])
        self.assertEqual([path.name for path in self.folder.iterdir()], ["out"])

    def test_failed_run_keeps_the_old_result(self):
        out = self.folder / "out"
        self.done("simulate", THRESHOLD, "--out", out)
        too_much = ["--set", "workload.batch=100000"]
        lines = len(run("simulate", THRESHOLD, *too_much).stderr.splitlines())
        self.refused(3, "simulate", THRESHOLD, "--out", out, "--force", *too_much, lines=lines)

    def test_json_on_stdout_is_the_summary_written(self):
        out = self.folder / "out"
        printed = self.done("simulate", THRESHOLD, "--out", out, "--json")
        self.assertEqual(printed, (out / "summary.json").read_text(encoding="utf-8"))


class Killed(CliTest):
    def expect_no_result(self, out):
        names = [path.name for path in self.folder.iterdir()]
        self.assertFalse(out.exists(), names)
        for name in names:
            self.assertRegex(name, r"^out\.partial-\d+$")

    def test_killed_while_simulating_leaves_nothing(self):
        out = self.folder / "out"
        self.assertEqual(kill_after(1, *LONG, "--out", out), -9)
        self.expect_no_result(out)
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_killed_while_writing_leaves_no_result_and_blocks_nothing(self):
        out = self.folder / "out"
        simulate = ["simulate", *EXPERIMENT, "--out", out]
        killed = 0
        for files in (0, 1, 3, 5, 6, 7, 8):
            status = kill_while_writing(out, *simulate, files=files)
            if status == 0:  # it was done before the signal came
                self.assertTrue(is_whole(out))
                self.done("simulate", *EXPERIMENT, "--out", out, "--force")
                support.shutil.rmtree(out)
                continue
            killed += 1
            if out.exists():  # killed between its last act and its end
                self.assertTrue(is_whole(out))
                support.shutil.rmtree(out)
            self.expect_no_result(out)
        self.assertGreater(killed, 0)
        self.done(*simulate)
        self.assertTrue(is_whole(out))

    def test_killed_while_replacing_leaves_a_whole_result(self):
        out = self.folder / "out"
        self.done("simulate", *EXPERIMENT, "--out", out)
        for files in (1, 4, 8):
            kill_while_writing(out, "simulate", *EXPERIMENT, "--out", out, "--force", files=files)
            self.assertTrue(is_whole(out))


if __name__ == "__main__":
    support.main()
