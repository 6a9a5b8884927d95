import json
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

from analysis import results  # noqa: E402

SUMMARY = {"tpot_ms": {"mean": 2.0}, "repeats": [2.0, 2.5, 1.8], "tier_peak_bytes": {"hbm": 5, "cxl": 7}}


class ResultsTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.write("summary.json", json.dumps(SUMMARY))
        self.write("manifest.json", json.dumps({"emulated_tiers": ["cxl", "disk"]}))
        self.write(
            "steps.csv",
            "step,phase,start_ns,end_ns,structure_hash\n0,prefill,0,90,00ff\n1,decode,90,100,12ab\n",
        )
        self.write(
            "ops.csv",
            "step,op,kind,lane,layer,request,start_ns,end_ns,bytes\n"
            "0,0,embed,stream,-1,-1,0,90,8\n1,0,ffn,stream,0,-1,90,100,16\n",
        )

    def write(self, name, text):
        (self.folder / name).write_text(text, encoding="utf-8")

    def test_load_gives_integers_but_for_names(self):
        result = results.load(self.folder)
        self.assertEqual(result.tpot_ms, 2.0)
        self.assertEqual(result.repeats_ms, [2.0, 2.5, 1.8])
        self.assertEqual(
            result.decode_steps(),
            [{"step": 1, "phase": "decode", "start_ns": 90, "end_ns": 100, "structure_hash": "12ab"}],
        )
        self.assertEqual([op["kind"] for op in result.ops_of(1)], ["ffn"])
        self.assertEqual(result.ops_of(0)[0]["layer"], -1)

    def test_emulated_tiers_that_were_used_are_noted(self):
        self.assertEqual(
            results.load(self.folder).notes, ["emulated tiers, no evidence about real ones: cxl"]
        )

    def test_missing_file_is_named(self):
        (self.folder / "ops.csv").unlink()
        with self.assertRaisesRegex(results.BadResult, "ops.csv"):
            results.load(self.folder)

    def test_damaged_files_are_named(self):
        self.write("summary.json", '{"tpot_ms":')
        with self.assertRaisesRegex(results.BadResult, "summary.json"):
            results.load(self.folder)
        self.write("summary.json", json.dumps(SUMMARY))
        self.write("steps.csv", "step,phase,start_ns,end_ns\n0,prefill,zero,90\n")
        with self.assertRaisesRegex(results.BadResult, "steps.csv"):
            results.load(self.folder)
        self.write("steps.csv", "step,phase,start_ns,end_ns\n0,prefill\n")
        with self.assertRaisesRegex(results.BadResult, "steps.csv"):
            results.load(self.folder)

    def test_repeat_may_be_a_number_or_an_object(self):
        self.assertEqual(results.repeat_tpot_ms(2.5), 2.5)
        self.assertEqual(results.repeat_tpot_ms({"tpot_ms": {"mean": 2.5}}), 2.5)
        self.assertEqual(results.repeat_tpot_ms({"tpot_ms": 2.5}), 2.5)

    def test_spread_is_range_over_median(self):
        self.assertAlmostEqual(results.spread([2.0, 2.5, 1.8, 2.2, 1.9]), 0.35)
        self.assertIsNone(results.spread([2.0]))
        self.assertIsNone(results.spread([]))

    def test_error_is_signed_and_relative_to_the_real_run(self):
        self.assertAlmostEqual(results.relative_error(2.0, 2.5), 0.25)
        self.assertAlmostEqual(results.relative_error(2.5, 2.0), -0.2)


if __name__ == "__main__":
    unittest.main()
