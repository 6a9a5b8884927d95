"""Bad input: status 2, one message that says where, what and what to do, and nothing written."""

import re

import support
from support import ROOT, CliTest

EXPERIMENT = "configs/h100/hybridgen.yaml"
PLATFORM = "platform-models/h100-80.yaml"


class Experiments(CliTest):
    def simulate(self, path, *more):
        return self.refused(2, "simulate", path, "--out", self.folder / "out", *more)

    def test_one_slip_one_message_with_its_place(self):
        for old, new, place, words in [
            ("  topk_ratio: 0.05", "  topk_ratio: 5", "22:15: policy.topk_ratio: ", "out of range"),
            ("  topk_ratio: 0.05", "  topk_ratio: .nan", "22:15: policy.topk_ratio: ", "write a number"),
            ("  topk_ratio: 0.05", "  topk_ratio: '0.05'", "22:15: policy.topk_ratio: ", "remove the quotes"),
            ("  topk_ratio: 0.05\n", "", ":3: policy.topk_ratio: ", "missing"),
            ("device_kv_tokens: 8192", "device_kv_tokens: 0", "21:21: policy.device_kv_tokens: ", "an integer between 1 and"),
            ("device_kv_tokens: 8192", "device_kv_tokens: 8.5", "policy.device_kv_tokens: ", "expected an integer"),
            ("device_kv_tokens: 8192", "device_kv_token: 8192", "policy.device_kv_token: ",
             "did you mean device_kv_tokens?"),
            ("batch: 1", "batch: 1\n  batch: 2", "workload.batch: ", "duplicate"),
            ("new_tokens: 64", "new_tokens: -64", "16:15: workload.new_tokens: ", "an integer between 1 and"),
            ("new_tokens: 64", "new_tokens: many", "workload.new_tokens: ", "expected an integer"),
            ("new_tokens: 64", "new_tokens:", "workload.new_tokens: ", "no value"),
            ("preset: hybridgen", "preset: hybrid-gen", "policy.preset: ", "did you mean hybridgen?"),
            ("placement: semantic ", "placement: cemantic ", "policy.placement: ", "did you mean semantic?"),
            ("source: seeded ", "source: sown ", "outcomes.source: ", "valid: fixed, recorded, seeded, locality"),
            ("platform: h100-80", "platform: h100-81", "", "did you mean h100-80?"),
            ("platform: h100-80", "platform: [h100-80", "", "yaml"),
            ("seed: 1", "seed: 1\ncolour: red", "colour: ", "unknown key"),
            ("llama-3.1-8b", "opt-6.7b", "15:18: workload.prompt_tokens: ", "opt-6.7b goes up to 2048; use a shorter"),
            ("topk_ratio: 0.05", "topk_ratio: 0.05\n  kv_dtype: int3", "policy.kv_dtype: ", "valid: fp16, fp32"),
        ]:
            with self.subTest(new=new):
                message = self.simulate(self.edited(EXPERIMENT, old, new))
                self.assertIn(place, message)
                self.assertIn(words, message)

    def test_set_is_held_to_the_same_rules(self):
        for override, words in [
            ("workload.batch=2x", "--set workload.batch=2x: workload.batch: expected an integer"),
            ("workload.batch", "expected KEY.PATH=VALUE"),
            ("=3", "expected KEY.PATH=VALUE"),
            ("policy.kv_dtype=fp8", "policy.kv_dtype: unknown kv_dtype 'fp8'; "),
            ("workload.prompt_tokens=200000", "--set workload.prompt_tokens=200000: workload.prompt_tokens: with "
             "new_tokens the context reaches 200063 tokens, but llama-3.1-8b goes up to 131072; use a shorter"),
            ("policy.preset=full-gpu", "policy."),
        ]:
            with self.subTest(override=override):
                lines = 3 if override == "policy.preset=full-gpu" else 1  # three parts that it does not have
                message = self.refused(2, "simulate", EXPERIMENT, "--set", override, lines=lines)
                self.assertIn(words, message)

    def test_platform_of_one_slip(self):
        for old, new, words in [
            ("bandwidth_GBps:", "bandwith_GBps:", "did you mean bandwidth_GBps?"),
            ("capacity_GiB:", "capacity_GB:", "capacity_GiB"),
            ("kind: gpu", "kind: gpo", "did you mean gpu?"),
            # A memory that nobody reaches, and one without the copies that a run needs.
            ("      - {memory: cxl}\n", "", "does not reach memory 'cxl'; add {memory: cxl} to its reaches"),
            ("  - {from: cxl, to: hbm, links: [pcie_h2d, pcie_duplex]}\n", "", "add {from: cxl, to: hbm}"),
            # A way that comes back to where it was.
            ("links: [pcie_h2d, pcie_duplex]", "links: [pcie_h2d, pcie_duplex, pcie_h2d]", "twice"),
            ("{from: dram, to: hbm,", "{from: hbm, to: hbm,", "to itself"),
        ]:
            with self.subTest(new=new):
                path = self.edited(PLATFORM, old, new)
                message = self.simulate(EXPERIMENT, "--platform", path)
                self.assertRegex(message, r"h100-80\.yaml:\d+:\d+: \S+: ")
                self.assertIn(words, message)

    def test_files_that_are_no_experiment(self):
        (self.folder / "empty.yaml").write_text("")
        (self.folder / "binary.yaml").write_bytes(bytes(range(256)))
        for path in ("nosuch.yaml", "configs", self.folder / "empty.yaml", self.folder / "binary.yaml"):
            with self.subTest(path=path):
                self.assertIn(str(path), self.simulate(path))

    def test_recorded_outcomes_from_nowhere(self):
        message = self.simulate(EXPERIMENT, "--set", "outcomes.source=recorded", "--set", "outcomes.from=nosuch")
        self.assertIn("nosuch/manifest.json", message)


class Arguments(CliTest):
    def test_wrong_arguments(self):
        trace = "traces/smollm2-hybridgen-threshold"
        for arguments, words in [
            (["simulate"], "EXPERIMENT.yaml is missing"),
            (["run"], "EXPERIMENT.yaml is missing"),
            (["simulate", EXPERIMENT, "another.yaml"], "too many"),
            (["simulate", EXPERIMENT, "--colour"], "unrecognised option '--colour'"),
            (["simulate", EXPERIMENT, "--out"], "'--out' is missing"),
            (["validate", trace], "SIM_DIR is missing"),
            (["validate", "nosuch", "neither"], "nosuch/manifest.json"),
            (["replay"], "DIR is missing"),
            (["replay", "configs"], "configs/manifest.json"),
            (["replay", trace, "--engine", "fluids"], "did you mean fluid?"),
            (["list"], "is missing"),
            (["calibrate"], "--out is missing"),
            (["calibrate", "--out", self.folder / "no/such/local.yaml"], "there is no folder"),
            (["calibrate", "--out", self.folder / "local.yaml", "--rounds", "0"], "--rounds must be at least 1"),
            (["calibrate", "--out", self.folder / "local.yaml", "--model", "lama-3.1-8b"], "did you mean llama"),
            (["accuracy", "configs/demo/hybridgen.yaml"], "--text is missing"),
            (["accuracy", "configs/demo/hybridgen.yaml", "--text", "x"], "--from must be at least 1"),
            (["accuracy", "quest", "--text", "x", "--from", "9"], "quest: the first argument must be an experiment"),
            (["quality-curve", EXPERIMENT, "--text", "x", "--from", "9"], "--budgets is missing"),
            (["quality-curve", EXPERIMENT, "--text", "x", "--from", "9", "--budgets", "0"], "must be at least 1"),
            (["passkey"], "EXPERIMENT.yaml is missing"),
        ]:
            with self.subTest(arguments=arguments):
                self.assertIn(words, self.refused(2, *arguments))

    def test_calibrate_never_replaces_a_file_unasked(self):
        (self.folder / "local.yaml").write_text("mine")
        self.assertIn("exists; give --force", self.refused(2, "calibrate", "--out", self.folder / "local.yaml"))


class Capacity(CliTest):
    def test_does_not_fit_status_3_says_what_lacks_and_what_would_fit(self):
        arguments = ["simulate", "configs/h100/full-gpu.yaml", "--out", self.folder / "out"]
        message = self.refused(3, *arguments, "--set", "workload.batch=64", lines=12)
        lines = message.splitlines()
        self.assertEqual(lines[0], "does not fit on h100-80:")
        # Llama-3.1-8B: 16,061,054,976 bytes of weights; 128 KiB of KV per token, 32831 tokens, 64 requests.
        self.assertRegex(lines[2], r"^  hbm +74\.5 GiB +274\.1 GiB +15\.0 GiB +256\.5 GiB ")
        self.assertEqual(lines[7], "hbm is short by 199.6 GiB")
        # What it says would fit does, and one more would not.
        batch = int(re.search(r"^would fit: workload\.batch: (\d+)$", message, re.M).group(1))
        self.assertIn("fits on", self.done(*arguments[:2], "--dry-run", "--set", f"workload.batch={batch}"))
        self.assertIn("would fit: policy.preset: flexgen", message)
        self.assertNotIn("policy.kv_dtype", message)
        # One more would in int8, and that is said, too.
        one_more = [*arguments, "--set", f"workload.batch={batch + 1}"]
        self.assertIn("would fit: policy.kv_dtype: int8", self.refused(3, *one_more, lines=13))
        self.assertIn("fits on", self.done(*one_more, "--dry-run", "--set", "policy.kv_dtype=int8"))

    def test_dry_run_prints_the_table_and_starts_nothing(self):
        text = self.done("simulate", "configs/h100/hybridgen.yaml", "--dry-run", "--out", self.folder / "out")
        self.assertRegex(text, r"(?m)^  dram +512\.0 GiB +1\.52 GiB +- +1\.50 GiB ")
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_memory_smaller_than_one_token_says_that_nothing_fits(self):
        small = self.edited(PLATFORM, "capacity_GiB: 74.5", "capacity_GiB: 0.0000001")
        message = self.refused(3, "simulate", EXPERIMENT, "--platform", small, "--out", self.folder / "out", lines=9)
        self.assertIn("hbm is short by", message)
        self.assertIn("would fit: no batch, context or policy does; use a smaller model or a larger platform", message)
        # Room for the weights but for no exchange in DRAM: less of it is what would fit, or a policy that keeps all of
        # its KV on the device or, without exchange, in CXL memory.
        none = self.edited(PLATFORM, "capacity_GiB: 512", "capacity_GiB: 0.0000001")
        message = self.refused(3, "simulate", EXPERIMENT, "--platform", none, "--out", self.folder / "out", lines=11)
        self.assertIn("dram is short by", message)
        self.assertIn("would fit: policy.preset: full-gpu\nwould fit: policy.preset: flexgen", message)

    def test_run_without_weights_status_4(self):
        message = self.refused(4, "run", "configs/h100/full-gpu.yaml", "--out", self.folder / "out")
        self.assertIn("only its shape is known here", message)


if __name__ == "__main__":
    support.main()
