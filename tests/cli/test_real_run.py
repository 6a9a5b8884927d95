"""hybridgen run on this machine, with the real model: tokens, folders, and the simulated twin of a run."""

import hashlib
import json
import pathlib
import struct

import support
from support import ROOT, TRACE, CliTest, is_whole, kill_after, kill_while_writing, skip_without_model

PLATFORM = TRACE / "platform.yaml"  # a machine that any host can play
SIZES = ["configs/demo/hybridgen.yaml", "--set", "workload.prompt_tokens=64", "--set", "workload.new_tokens=8", "--set",
         "policy.device_kv_tokens=24", "--set", "repeat=1"]
SHORT = [*SIZES, "--platform", PLATFORM]


def summary(folder):
    return json.loads((folder / "summary.json").read_text(encoding="utf-8"))


class RealRun(CliTest):
    def test_greedy_tokens_of_an_independent_implementation(self):
        golden = json.loads((ROOT / "tests/golden/smollm2_gpl3_greedy.json").read_text(encoding="utf-8"))
        out = self.folder / "out"
        self.done("run", "configs/demo/full-gpu.yaml", "--platform", PLATFORM, "--set", "workload.prompt_tokens=512",
                  "--set", "repeat=1", "--out", out)
        ids = b"".join(struct.pack("<i", each) for each in golden["ids"])
        self.assertEqual(summary(out)["generated_ids_sha256"], hashlib.sha256(ids).hexdigest())

    def test_run_and_simulate_same_plan_same_bytes(self):
        real, simulated = self.folder / "real", self.folder / "simulated"
        self.done("run", *SHORT, "--out", real)
        self.done("simulate", *SHORT, "--out", simulated)
        for key in ("decision_hash", "bytes_moved", "tier_peak_bytes"):
            self.assertEqual(summary(real)[key], summary(simulated)[key], key)
        self.assertGreater(summary(real)["bytes_moved"]["h2d"], 0)
        self.assertIn("timeline equal, 8 steps", self.done("replay", real))
        self.assertIn("same plan: decision hash " + summary(real)["decision_hash"],
                      self.done("validate", real, simulated))

    def test_validate_refuses_another_plan(self):
        real, other = self.folder / "real", self.folder / "other"
        self.done("run", *SHORT, "--out", real)
        self.done("simulate", *SHORT, "--set", "policy.device_kv_tokens=25", "--out", other)
        self.assertIn("not runs of the same plan", self.refused(2, "validate", real, other))

    def test_accuracy_of_full_attention_is_no_difference(self):
        text = self.done("accuracy", "configs/demo/full-gpu.yaml", "--platform", PLATFORM, "--text",
                         "/usr/share/common-licenses/GPL-3", "--from", "64", "--tokens", "84", "--json")
        quality = json.loads(text)
        self.assertEqual((quality["predictions"], quality["mean_kl"], quality["top1_agreement"]), (19, 0.0, 1.0))
        self.assertEqual(quality["perplexity"], quality["reference_perplexity"])

    def test_accuracy_of_several_policies_shares_one_reference(self):
        text = self.done("accuracy", "configs/demo/full-gpu.yaml", "quest", "hybridgen", "--budget", "32", "--platform",
                         PLATFORM, "--text", "/usr/share/common-licenses/GPL-3", "--from", "64", "--tokens", "84",
                         "--json")
        full, quest, hybridgen = json.loads(text)["policies"]
        self.assertEqual([full["name"], quest["name"], hybridgen["name"]], ["full-gpu", "quest", "hybridgen"])
        self.assertEqual((full["mean_kl"], "budget_tokens" in full), (0.0, False))
        for policy in (quest, hybridgen):
            self.assertEqual(policy["budget_tokens"], 32)
            self.assertEqual(policy["reference_perplexity"], full["perplexity"])
            self.assertGreater(policy["mean_kl"], 1e-4)
        self.assertEqual((quest["link_bytes_per_token"], hybridgen["link_bytes_per_token"] > 0), (0.0, True))

    def test_accuracy_refuses_another_precision(self):
        other = self.folder / "other.yaml"
        other.write_text((support.ROOT / "configs/demo/full-gpu.yaml").read_text().replace("fp16", "fp32"))
        message = self.refused(2, "accuracy", "configs/demo/full-gpu.yaml", other, "--platform", PLATFORM, "--text",
                               "/usr/share/common-licenses/GPL-3", "--from", "64", "--tokens", "84")
        self.assertIn("policy.kv_dtype: fp32 is not fp16", message)

    def test_passkey_prints_full_attention_beside_the_policy(self):
        text = self.done("passkey", "configs/demo/full-gpu.yaml", "quest", "--budget", "64", "--platform", PLATFORM,
                         "--lengths", "200", "--depths", "1")
        self.assertRegex(text, r"full attention, tokens +50 %\n +200 +[01]/1\n")
        self.assertRegex(text, r"quest, tokens +50 %\n +200 +[01]/1\n")


class Refusals(CliTest):
    def test_gpu_platform_status_4(self):
        message = self.refused(4, "run", "configs/demo/hybridgen.yaml", "--platform", "h100-80", "--out",
                               self.folder / "out")
        self.assertIn("platform h100-80 has a GPU", message)
        self.assertIn("simulate it", message)

    def test_numa_node_that_is_not_there_status_4(self):
        platform = self.edited(PLATFORM, "kind: dram", "kind: dram\n    numa_node: 1000")
        message = self.refused(4, "run", *SIZES, "--platform", platform, "--out", self.folder / "out")
        self.assertIn("memory dram lies on NUMA node 1000, which this process cannot use here; usable: ", message)

    def test_numa_node_too_full_status_3_before_weights_are_read(self):
        if not pathlib.Path("/sys/devices/system/node/node0").is_dir():
            self.skipTest("this system knows no NUMA nodes")
        text = PLATFORM.read_text(encoding="utf-8")
        for line in [each for each in text.splitlines() if "capacity_GiB" in each]:
            text = text.replace(line, "    capacity_GiB: 1000000")
        platform = self.folder / "large.yaml"
        platform.write_text(text.replace("kind: dram", "kind: dram\n    numa_node: 0", 1), encoding="utf-8")
        message = self.refused(3, "run", *SIZES, "--set", "workload.batch=1000000", "--platform", platform, "--out",
                               self.folder / "out", lines=2)
        self.assertRegex(message, r"\n  NUMA node 0 \(dram\): \d+ bytes wanted, \d+ free\n$")

    def test_existing_out_refused_before_weights_are_read(self):
        out = self.folder / "out"
        out.mkdir()
        self.assertIn("is no result folder", self.refused(2, "run", *SHORT, "--out", out, "--force"))

    def test_does_not_fit_status_3(self):
        text = PLATFORM.read_text(encoding="utf-8")
        small = self.folder / "small.yaml"
        capacity = next(line for line in text.splitlines() if "capacity_GiB" in line)
        small.write_text(text.replace(capacity, capacity.split(":")[0] + ": 0.1", 1), encoding="utf-8")
        message = self.refused(3, "run", *SIZES, "--platform", small, "--out", self.folder / "out", lines=6)
        self.assertRegex(message, r"(?m)^  device +102\.4 MiB +\d+\.\d MiB +256\.6 MiB ")

    def test_prompt_that_is_missing_or_too_short(self):
        for prompt, words in [("nosuch.txt", "no such file"), ("/usr/share/common-licenses/BSD", "are asked for")]:
            message = self.refused(2, "run", *SHORT, "--set", f"workload.prompt_file={prompt}", "--set",
                                   "workload.prompt_tokens=2048", "--out", self.folder / "out")
            self.assertIn(words, message)

    def test_ids_outside_the_vocabulary_are_refused(self):
        for bad in (2_000_000_000, -7):
            ids = self.folder / "prompt.ids"
            ids.write_bytes(b"".join(i.to_bytes(4, "little", signed=True) for i in [1, 2, bad] + [3] * 3000))
            message = self.refused(2, "run", *SHORT, "--set", f"workload.prompt_file={ids}", "--out", self.folder / "out")
            self.assertIn(f"token 2 is {bad}, outside the vocabulary of 49152", message)


class Killed(CliTest):
    def test_killed_run_leaves_no_result(self):
        out = self.folder / "out"
        run = ["run", *SHORT, "--set", "workload.new_tokens=64", "--out", out]
        for seconds in (0.05, 0.5, 1.0):
            self.assertEqual(kill_after(seconds, *run, "--set", "repeat=50"), -9)
            self.assertEqual(list(self.folder.iterdir()), [])
        status = kill_while_writing(out, *run)
        names = [path.name for path in self.folder.iterdir()]
        if status == 0 or out.exists():
            self.assertTrue(is_whole(out))
        else:
            self.assertEqual(len(names), 1)
            self.assertRegex(names[0], r"^out\.partial-\d+$")


if __name__ == "__main__":
    skip_without_model()
    support.main()
