"""The skew of infinigen, as a user sees it: fit-skew beside a model, runs that read what it wrote, and refusals."""

import json
import shutil
import struct

import support
from support import FAMILIES, GoldenModelTest


def contents(path):
    """(shape, values) by name of a safetensors file of fp32, and its metadata."""
    raw = path.read_bytes()
    (length,) = struct.unpack_from("<Q", raw)
    header = json.loads(raw[8 : 8 + length])
    metadata = header.pop("__metadata__")
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        values = struct.unpack_from(f"<{(end - begin) // 4}f", raw, 8 + length + begin)
        tensors[name] = (entry["shape"], values)
    return tensors, metadata


class FitSkewTest(GoldenModelTest):
    def experiment(self, model):
        return self.experiment_of(model, "preset: infinigen, budget_tokens: 16, whole_layers: 1")

    def fit(self, model, *more):
        return self.done("fit-skew", model, "--text", self.ids, "--tokens", 48, *more)


class Fit(FitSkewTest):
    def test_every_family_fits_runs_and_simulates_alike(self):
        """The rows that pass alpha are known to the run alone, so the simulation takes their counts from it."""
        for family in FAMILIES:
            with self.subTest(family=family):
                model = self.model(family)
                said = self.fit(model)
                self.assertIn("fitted on 48 tokens", said)
                self.assertIn(str(model / "skew.safetensors"), said)
                path = self.experiment(model)
                real, simulated = self.folder / f"{family}-real", self.folder / f"{family}-simulated"
                self.done("run", path, "--out", real)
                self.done("simulate", path, "--out", simulated, "--set", "outcomes.source=recorded",
                          "--set", f"outcomes.from={real}")
                a, b = (json.loads((out / "summary.json").read_text()) for out in (real, simulated))
                for key in ("decision_hash", "bytes_moved", "tier_peak_bytes"):
                    self.assertEqual(a[key], b[key], key)

    def test_columns_are_orthogonal_and_say_what_they_were_fitted_on(self):
        model = self.model()
        self.fit(model)
        tensors, metadata = contents(model / "skew.safetensors")
        self.assertEqual(metadata["text"], "prompt.ids")
        self.assertEqual(metadata["fit_tokens"], "48")
        dim = 16
        for layer in range(2):
            shape, values = tensors[f"layers.{layer}.skew"]
            self.assertEqual(shape, [1, dim, dim])
            columns = [values[i * dim : (i + 1) * dim] for i in range(dim)]
            for i, left in enumerate(columns):
                for j, right in enumerate(columns):
                    self.assertAlmostEqual(sum(x * y for x, y in zip(left, right)), i == j, places=4)

    def test_existing_file_stays_without_force(self):
        model = self.model()
        self.fit(model)
        before = (model / "skew.safetensors").read_bytes()
        message = self.refused(2, "fit-skew", model, "--text", self.ids, "--tokens", 96)
        self.assertIn("--force replaces it", message)
        self.done("fit-skew", model, "--text", self.ids, "--tokens", 96, "--force")
        self.assertNotEqual((model / "skew.safetensors").read_bytes(), before)

    def test_out_leaves_the_model_folder_alone(self):
        model, out = self.model(), self.folder / "elsewhere.safetensors"
        self.assertIn(str(out), self.fit(model, "--out", out))
        self.assertTrue(out.is_file())
        self.assertFalse((model / "skew.safetensors").exists())

    def test_bad_options_one_message(self):
        model = self.model()
        few = self.folder / "few.ids"
        few.write_bytes(self.ids.read_bytes()[: 4 * 20])
        foreign = self.folder / "foreign.ids"
        foreign.write_bytes(struct.pack("<48i", *[5] * 47, 96))
        for arguments, words in [
            ([model], "--text is missing"),
            (["--text", self.ids], "argument MODEL is missing"),
            ([model, "--text", self.ids, "--tokens", 0], "--tokens must lie between 1 and 128"),
            ([model, "--text", self.ids, "--tokens", 129], "--tokens must lie between 1 and 128"),
            ([model, "--text", self.ids, "--tokens", "many"], "tokens"),
            ([model, "--text", self.folder / "no.ids", "--tokens", 48], "no such file"),
            ([model, "--text", few, "--tokens", 48], "has 20 tokens, 48 are asked for"),
            ([model, "--text", foreign, "--tokens", 48], "token 47 is 96, outside the vocabulary of 96"),
            ([self.folder / "nowhere", "--text", self.ids], "nowhere"),
        ]:
            with self.subTest(words=words):
                self.assertIn(words, self.refused(2, "fit-skew", *arguments))


class Use(FitSkewTest):
    def test_run_without_a_file_names_the_command(self):
        path = self.experiment(self.model())
        message = self.refused(2, "run", path, "--out", self.folder / "out")
        self.assertIn("skew.safetensors: missing", message)
        self.assertIn("hybridgen fit-skew", message)

    def test_file_of_another_model_names_what_is_wrong(self):
        model, other = self.model(), self.model("opt")
        self.fit(other)
        shutil.copy(other / "skew.safetensors", model)
        result = support.run("run", self.experiment(model))
        self.assertEqual(result.returncode, 2, result.stderr)
        self.assertIn("skew.safetensors: does not belong to", result.stderr)
        self.assertIn("hybridgen fit-skew", result.stderr)


if __name__ == "__main__":
    support.main()
