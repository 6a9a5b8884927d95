"""What a person meets who does not know the program yet."""

import json
import re
import unittest

import support
from support import ROOT, CliTest, commands, run


class Help(CliTest):
    def test_no_arguments_help_on_stderr_status_2(self):
        result = run()
        self.assertEqual((result.returncode, result.stdout), (2, ""))
        self.assertIn("usage: hybridgen COMMAND", result.stderr)
        self.assertEqual(result.stderr, self.done("--help"))

    def test_help_lists_every_command(self):
        expected = {"run", "simulate", "validate", "replay", "calibrate", "accuracy", "check", "list", "platform"}
        self.assertLessEqual(expected, set(commands()))

    def test_every_command_explains_itself_with_an_example(self):
        for command in commands():
            for flag in ("--help", "-h"):
                text = self.done(command, flag)
                self.assertTrue(text.startswith(f"hybridgen {command} "), text)
                self.assertRegex(text, rf"(?m)^  hybridgen {command} \S", command)

    def test_examples_name_files_that_ship(self):
        found = 0
        for text in [self.done("--help")] + [self.done(command, "--help") for command in commands()]:
            for path in re.findall(r"\b(?:configs|platform-models|traces)/\S+", text):
                if path == "platform-models/local.yaml":  # what calibrate writes
                    continue
                found += 1
                self.assertTrue(list(ROOT.glob(path)), path)
        self.assertGreater(found, 5)


class Names(CliTest):
    def test_list_names_what_an_experiment_may_use(self):
        policies = self.done("list", "policies")
        for name in ("full-gpu", "flexgen", "hybridgen", "policy.device_kv_tokens", "policy.topk_ratio"):
            self.assertRegex(policies, rf"(?m)^ +{re.escape(name)}[ :]")
        parts = self.done("list", "parts")
        for slot in ("attention", "select", "split", "placement"):
            self.assertRegex(parts, rf"(?m)^{slot}$")
        for part in ("logit-parallel", "top-k", "threshold", "fixed", "unified", "semantic"):
            self.assertRegex(parts, rf"(?m)^  {part} ")
        self.assertIn("h100-80", self.done("list", "platforms").split())
        self.assertLessEqual({"llama-3.1-8b", "smollm2-135m-instruct"}, set(self.done("list", "models").split()))

    def test_unknown_names_suggest_the_nearest(self):
        experiment = "configs/h100/hybridgen.yaml"
        for arguments, suggestion in [
            (["simulat"], "did you mean simulate?"),
            (["lst", "policies"], "did you mean list?"),
            (["list", "model"], "did you mean models?"),
            (["simulate", experiment, "--engine", "simgrit"], "did you mean simgrid?"),
            (["simulate", experiment, "--platform", "h100-8"], "did you mean h100-80?"),
            (["simulate", experiment, "--set", "model=llama-3.1-8"], "did you mean llama-3.1-8b?"),
            (["simulate", experiment, "--set", "policy.preset=hybridgn"], "did you mean hybridgen?"),
            (["simulate", experiment, "--set", "policy.select=topk"], "did you mean top-k?"),
            (["simulate", experiment, "--set", "policy.placement=semantics"], "did you mean semantic?"),
            (["simulate", experiment, "--set", "policy.topk_ration=0.1"], "did you mean topk_ratio?"),
            (["simulate", experiment, "--set", "workload.new_token=8"], "did you mean new_tokens?"),
        ]:
            self.assertIn(suggestion, self.refused(2, *arguments))

    def test_name_near_nothing_lists_the_valid_ones(self):
        message = self.refused(2, "list", "zebras")
        self.assertIn("valid: policies, parts, parameters, platforms, models", message)
        self.assertIn("valid: run, simulate", self.refused(2, "zebra"))


class Explain(CliTest):
    def test_platform_says_what_a_byte_costs(self):
        text = self.done("platform", "explain", "h100-80")
        for line in (r"xeon8468 - dram +209\.0 +its kernels ", r"xeon8468_1 - cxl +20\.4 +cxl_far ",
                     r"h100 - dram +- +no path ", r"cxl - hbm +48\.0 +cxl "):
            self.assertRegex(text, rf"(?m)^  {line}")
        told = json.loads(self.done("platform", "explain", "platform-models/h100-80.yaml", "--json"))
        up = [cost for cost in told["copies"] if (cost["from"], cost["to"]) == ("dram", "hbm")]
        self.assertEqual(up[0]["bytes_per_s"], 51.5e9)
        self.assertEqual((up[0]["limited_by"], up[0]["fixed_ns"]), ("copy engine", 3500))

    def test_emulated_memory_is_marked(self):
        path = self.edited("platform-models/h100-80.yaml", "    kind: cxl\n", "    kind: cxl\n    emulated: true\n")
        self.assertIn("xeon8468 - cxl (emulated)", self.done("platform", "explain", path))

    def test_wrong_words_are_refused(self):
        self.assertIn("did you mean explain?", self.refused(2, "platform", "explan", "h100-80"))
        self.assertIn("did you mean h100-80?", self.refused(2, "platform", "explain", "h100-8"))
        self.assertIn("PLATFORM is missing", self.refused(2, "platform", "explain"))


class Check(CliTest):
    def test_every_shipped_file_is_fine(self):
        files = sorted(path.relative_to(ROOT) for pattern in ("configs/**/*.yaml", "platform-models/*.yaml",
                                                              "traces/**/*.yaml")
                       for path in ROOT.glob(pattern))
        self.assertGreaterEqual(len(files), 11)
        lines = self.done("check", *files).splitlines()
        self.assertEqual([line.split(": ")[0] for line in lines], [str(file) for file in files])
        for line in lines:
            self.assertRegex(line, r": (experiment|platform|model shape|ablation|locality), fine$")

    def test_all_faults_of_all_files_at_once(self):
        first = self.edited("configs/h100/hybridgen.yaml", "topk_ratio: 0.05", "topk_ratio: 5\n  topk_ration: 1")
        second = self.edited("platform-models/h100-80.yaml", "kind: gpu", "kind: gpo")
        message = run("check", first, "configs/h100/flexgen.yaml", second)
        self.assertEqual(message.returncode, 2)
        self.assertIn("flexgen.yaml: experiment, fine", message.stdout)
        faults = message.stderr.splitlines()
        self.assertEqual(len(faults), 3, message.stderr)
        for fault in faults:
            self.assertRegex(fault, r"\.yaml:\d+:\d+: \S+: .*; |\.yaml:\d+:\d+: \S+: .*did you mean")

    def test_no_file_help_on_stderr(self):
        result = run("check")
        self.assertEqual((result.returncode, result.stdout), (2, ""))
        self.assertIn("hybridgen check FILE", result.stderr)


if __name__ == "__main__":
    support.main()
