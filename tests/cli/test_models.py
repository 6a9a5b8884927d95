"""Models as a user brings them: each family runs, made-up weights run, and damaged folders are refused before."""

import json
import shutil
import struct

import support
from support import GOLDEN, ROOT, TRACE, CliTest

PLATFORM = TRACE / "platform.yaml"  # a machine that any host can play
FAMILIES = ["llama", "llama3", "opt", "qwen2", "qwen3"]


class ModelTest(CliTest):
    def setUp(self):
        super().setUp()
        self.ids = self.folder / "prompt.ids"
        self.ids.write_bytes(struct.pack("<64i", *[3 + i * 7 % 90 for i in range(64)]))

    def experiment(self, model, prompt_tokens=40, new_tokens=4, prompt=None, more=""):
        path = self.folder / "experiment.yaml"
        path.write_text(
            f"platform: {PLATFORM}\nmodel: {model}\n{more}"
            f"workload: {{prompt_file: {prompt or self.ids}, prompt_tokens: {prompt_tokens}, "
            f"new_tokens: {new_tokens}, batch: 1}}\n"
            "policy: {preset: hybridgen, device_kv_tokens: 16, topk_ratio: 0.5}\nseed: 1\nrepeat: 1\n",
            encoding="utf-8",
        )
        return path

    def copy_of(self, family):
        target = self.folder / family
        shutil.copytree(GOLDEN / family, target)
        return target


class Families(ModelTest):
    def test_run_and_simulate_same_plan_same_bytes(self):
        for family in FAMILIES:
            with self.subTest(family=family):
                real, simulated = self.folder / f"{family}-real", self.folder / f"{family}-simulated"
                path = self.experiment(GOLDEN / family)
                self.done("run", path, "--out", real)
                self.done("simulate", path, "--out", simulated)
                a, b = (json.loads((out / "summary.json").read_text()) for out in (real, simulated))
                for key in ("decision_hash", "bytes_moved", "tier_peak_bytes"):
                    self.assertEqual(a[key], b[key], key)
                notes = json.loads((real / "manifest.json").read_text())["notes"]
                self.assertTrue(any("no tokenizer.json" in note for note in notes), notes)


class DummyWeights(ModelTest):
    def test_shape_without_files_runs_and_says_so(self):
        shape = (ROOT / "configs/models/smollm2-135m-instruct.yaml").read_text(encoding="utf-8")
        for family, old, new in [("llama", "", ""), ("qwen3", "", ""), ("opt", "rope_theta: 100000\n", "")]:
            with self.subTest(family=family):
                text = shape.replace("family: llama", f"family: {family}").replace(old, new)
                (self.folder / "small.yaml").write_text(text.replace("layers: 30", "layers: 2"), encoding="utf-8")
                path = self.experiment(self.folder / "small.yaml", prompt="nowhere.txt", more="weights: dummy\n")
                hashes = []
                for out in (self.folder / f"{family}-1", self.folder / f"{family}-2"):
                    self.done("run", path, "--out", out)
                    summary = json.loads((out / "summary.json").read_text())
                    hashes.append(summary["generated_ids_sha256"])
                    self.assertEqual(summary["quality"], "unknown")
                    self.assertNotIn("generated_text", summary)
                    notes = json.loads((out / "manifest.json").read_text())["notes"]
                    self.assertTrue(any("made up from seed 1" in note for note in notes), notes)
                    self.assertIn("weights: dummy", (out / "experiment.yaml").read_text())
                self.assertEqual(hashes[0], hashes[1])

    def test_too_large_for_the_machine_status_3_before_anything_is_made(self):
        path = self.experiment("llama-3.1-8b", more="weights: dummy\n")
        text = PLATFORM.read_text(encoding="utf-8").replace("capacity_GiB: ", "capacity_GiB: 1 # ")
        (self.folder / "small-machine.yaml").write_text(text, encoding="utf-8")
        message = self.refused(3, "run", path, "--platform", self.folder / "small-machine.yaml", "--out",
                               self.folder / "out", lines=6)
        self.assertIn("  device  1.00 GiB  15.0 GiB  15.0 GiB ", message)

    def test_accuracy_of_dummy_weights_is_refused(self):
        path = self.experiment(GOLDEN / "llama", more="weights: dummy\n")
        message = self.refused(2, "accuracy", path, "--text", self.ids, "--from", "8")
        self.assertIn("dummy weights answer nothing", message)

    def test_unknown_source_is_refused(self):
        message = self.refused(2, "run", self.experiment(GOLDEN / "llama", more="weights: dumy\n"))
        self.assertIn("weights: ", message)
        self.assertIn("did you mean dummy?", message)


class Damage(ModelTest):
    """Exit status 2 and nothing written, with the file, what is wrong in it and what to do."""

    def refuse(self, model, *words, lines=1, **experiment):
        path = self.experiment(model, **experiment)
        message = self.refused(2, "run", path, "--out", self.folder / "out", lines=lines)
        for word in words:
            self.assertIn(word, message)

    def rewrite_header(self, path, change):
        data = path.read_bytes()
        length = struct.unpack("<Q", data[:8])[0]
        header = json.loads(data[8 : 8 + length])
        change(header)
        text = json.dumps(header).encode()
        path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])

    def test_truncated_safetensors(self):
        whole = (GOLDEN / "llama/model.safetensors").read_bytes()
        for size, words, lines in [(0, "no safetensors file", 1), (5, "no safetensors file", 1),
                                   (100, "does not fit this file", 1), (len(whole) // 2, "its header speaks of 80352", 1),
                                   (len(whole) - 1, "model.norm.weight: data_offsets [80256, 80352) lie outside", 2)]:
            with self.subTest(size=size):
                model = self.copy_of("llama")
                (model / "model.safetensors").write_bytes(whole[:size])
                self.refuse(model, "model.safetensors", words, "is the download complete?", lines=lines)
                shutil.rmtree(model)

    def test_damaged_header(self):
        model = self.copy_of("llama")
        file = model / "model.safetensors"
        data = bytearray(file.read_bytes())
        data[8] = ord("x")
        file.write_bytes(data)
        self.refuse(model, "model.safetensors: the header is not a JSON object")

    def test_wrong_tensor_shape(self):
        model = self.copy_of("qwen2")
        self.rewrite_header(model / "model.safetensors",
                            lambda header: header["model.layers.1.mlp.up_proj.weight"]["shape"].reverse())
        self.refuse(model, "model.layers.1.mlp.up_proj.weight: shape [48, 64], but the configuration needs [64, 48]",
                    lines=3)

    def test_missing_tensor(self):
        model = self.copy_of("qwen2")
        self.rewrite_header(model / "model.safetensors", lambda h: h.pop("model.layers.0.self_attn.q_proj.bias"))
        self.refuse(model, "model.layers.0.self_attn.q_proj.bias: missing", lines=3)

    def test_tensor_that_the_configuration_does_not_use(self):
        model = self.copy_of("llama3")
        config = json.loads((model / "config.json").read_text())
        config["attention_bias"] = False  # while the files have biases
        (model / "config.json").write_text(json.dumps(config))
        self.refuse(model, "model.layers.0.self_attn.q_proj.bias: is not used by the configuration", lines=10)

    def test_missing_part(self):
        model = self.copy_of("llama3")
        (model / "model-00002-of-00002.safetensors").unlink()
        self.refuse(model, "model-00002-of-00002.safetensors: No such file")

    def test_no_weights(self):
        model = self.copy_of("llama")
        (model / "model.safetensors").unlink()
        self.refuse(model, "holds neither model.safetensors nor model.safetensors.index.json")

    def test_context_beyond_the_models_maximum(self):
        for family in ("llama", "opt"):
            self.refuse(GOLDEN / family, "goes up to 128; use a shorter prompt", prompt_tokens=40, new_tokens=100)

    def test_missing_tokenizer(self):
        text = self.folder / "prompt.txt"
        text.write_text("words " * 100, encoding="utf-8")
        self.refuse(GOLDEN / "llama", "tokenizer.json: missing", "give token ids", prompt=text)

    def test_config_that_changes_the_arithmetic(self):
        for family, key, value in [("llama", "sliding_window", 16), ("llama", "alibi", True),
                                   ("qwen2", "use_sliding_window", True), ("qwen3", "num_experts", 8),
                                   ("opt", "do_layer_norm_before", False), ("llama", "something_new", 1)]:
            with self.subTest(key=key):
                model = self.copy_of(family)
                config = json.loads((model / "config.json").read_text())
                (model / "config.json").write_text(json.dumps({**config, key: value}))
                self.refuse(model, f"config.json: {key}: ")
                shutil.rmtree(model)


if __name__ == "__main__":
    support.main()
