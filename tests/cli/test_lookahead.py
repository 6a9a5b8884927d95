"""One layer ahead, as a user sees it: fit-lookahead beside a model, runs that read what it wrote, and refusals."""

import json
import shutil

import support
from support import FAMILIES, GoldenModelTest


class LookaheadTest(GoldenModelTest):
    def experiment(self, model, policy):
        return self.experiment_of(model, f"preset: hybridgen, device_kv_tokens: 16, topk_ratio: 0.5, {policy}")

    def fit(self, model, *more):
        return self.done("fit-lookahead", model, "--text", self.ids, "--tokens", 48, "--rank", 4, *more)


class Fit(LookaheadTest):
    def test_every_family_fits_runs_and_simulates_alike(self):
        for family in FAMILIES:
            with self.subTest(family=family):
                model = self.model(family)
                self.assertIn("lookahead.safetensors", self.fit(model))
                policy = "lookahead: use, lookahead_predictor: fitted, lookahead_correct: yes, sink_tokens: 2"
                path = self.experiment(model, policy)
                real, simulated = self.folder / f"{family}-real", self.folder / f"{family}-simulated"
                self.done("run", path, "--out", real)
                self.done("simulate", path, "--out", simulated)
                a, b = (json.loads((out / "summary.json").read_text()) for out in (real, simulated))
                for key in ("decision_hash", "bytes_moved", "tier_peak_bytes"):
                    self.assertEqual(a[key], b[key], key)
                self.assertGreater(b["host_hidden_share"], 0)

    def test_existing_file_stays_without_force(self):
        model = self.model()
        self.fit(model)
        before = (model / "lookahead.safetensors").read_bytes()
        message = self.refused(2, "fit-lookahead", model, "--text", self.ids, "--tokens", 48, "--rank", 2)
        self.assertIn("--force replaces it", message)
        self.assertEqual((model / "lookahead.safetensors").read_bytes(), before)
        self.done("fit-lookahead", model, "--text", self.ids, "--tokens", 48, "--rank", 2, "--force")
        self.assertNotEqual((model / "lookahead.safetensors").read_bytes(), before)

    def test_text_too_short_or_rank_too_large_one_message(self):
        model = self.model()
        short = self.refused(2, "fit-lookahead", model, "--text", self.ids, "--tokens", 190)
        self.assertIn("too few to fit on 190", short)
        self.assertIn("--rank", self.refused(2, "fit-lookahead", model, "--text", self.ids, "--rank", 5000))
        self.assertIn("--text", self.refused(2, "fit-lookahead", model))


class Use(LookaheadTest):
    def test_fitted_without_a_file_names_the_command(self):
        path = self.experiment(self.model(), "lookahead: choose, lookahead_predictor: fitted")
        message = self.refused(2, "simulate", path)
        self.assertIn("hybridgen fit-lookahead", message)

    def test_use_without_its_switches_is_refused(self):
        path = self.experiment(self.model(), "lookahead: use")
        message = self.refused(2, "simulate", path, lines=2)
        self.assertIn("lookahead_predictor", message)
        self.assertIn("lookahead_correct", message)

    def test_auto_says_which_layers_use_predicted_logits(self):
        model = self.model()
        policy = "lookahead: auto, lookahead_predictor: plain, lookahead_correct: yes"
        path = self.experiment(model, policy)
        unmeasured = self.done("simulate", path)
        self.assertIn("layers none use predicted logits", unmeasured)
        self.assertIn("hybridgen fit-lookahead", unmeasured)
        self.fit(model)
        every = self.done("simulate", path, "--set", "policy.lookahead_most_error_permille=1000000")
        self.assertIn("layers none choose with them", every)
        none = json.loads(
            self.done("simulate", path, "--json", "--set", "policy.lookahead_most_error_permille=0")
        )
        self.assertTrue(any("layers none use" in note for note in none["notes"]), none["notes"])

    def test_file_of_another_model_one_message(self):
        model, other = self.model(), self.model("opt")
        self.fit(other)
        shutil.copy(other / "lookahead.safetensors", model)
        path = self.experiment(model, "lookahead: choose, lookahead_predictor: fitted")
        result = support.run("run", path)
        self.assertEqual(result.returncode, 2)
        self.assertIn("lookahead.safetensors", result.stderr)

    def test_accuracy_prints_every_layer(self):
        model = self.model()
        path = self.experiment(model, "lookahead: choose")
        report = json.loads(self.done("accuracy", path, "--text", self.ids, "--from", 40, "--tokens", 120, "--json"))
        layers = report["layers"]
        self.assertEqual([layer["lookahead"] for layer in layers], ["off"] + ["choose"] * (len(layers) - 1))
        self.assertAlmostEqual(layers[0]["query_cosine"], 1, places=5)
        self.assertAlmostEqual(layers[0]["row_recall"], 1, places=5)
        for layer in layers[1:]:
            self.assertLess(layer["query_cosine"], 1)
            self.assertTrue(0 < layer["captured_mass"] <= 1 + 1e-6, layer)


if __name__ == "__main__":
    support.main()
