import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

from analysis import results, table  # noqa: E402


def result(tpot_ms, repeats=(), moved=None, decision_hash="a"):
    summary = {
        "tpot_ms": {"mean": tpot_ms},
        "repeats": list(repeats),
        "bytes_moved": moved or {},
        "tier_peak_bytes": {"hbm": 4_000_000},
        "quality": "unknown",
        "decision_hash": decision_hash,
    }
    return results.Result(pathlib.Path("x"), summary, {}, [], [])


class ComparisonTest(unittest.TestCase):
    def test_error_within_a_quarter_passes_whatever_the_spread(self):
        steady = [4.0, 4.0, 4.0]
        self.assertFalse(table.Comparison("p", result(4.0, steady), result(5.0)).too_far)
        self.assertFalse(table.Comparison("p", result(4.0, steady), result(3.0)).too_far)
        self.assertTrue(table.Comparison("p", result(4.0, steady), result(5.01)).too_far)
        self.assertTrue(table.Comparison("p", result(4.0, steady), result(2.99)).too_far)

    def test_a_wide_spread_widens_the_tolerance_by_half_as_much_again(self):
        shaky = [3.0, 4.0, 5.0]  # spread 50 %: 75 % pass
        self.assertAlmostEqual(table.Comparison("p", result(4.0, shaky), None).tolerance, 0.75)
        self.assertFalse(table.Comparison("p", result(4.0, shaky), result(6.9)).too_far)
        self.assertTrue(table.Comparison("p", result(4.0, shaky), result(7.1)).too_far)

    def test_a_missing_side_has_no_error(self):
        comparison = table.Comparison("p", None, result(4.0))
        self.assertIsNone(comparison.error)
        self.assertFalse(comparison.too_far)
        self.assertIsNone(comparison.same_plan)

    def test_same_plan_is_equal_decision_hash(self):
        self.assertTrue(table.Comparison("p", result(4.0), result(4.0)).same_plan)
        self.assertFalse(table.Comparison("p", result(4.0), result(4.0, decision_hash="b")).same_plan)


class TextTest(unittest.TestCase):
    def test_human_bytes_keep_three_digits(self):
        self.assertEqual(table.human_bytes(0), "0 B")
        self.assertEqual(table.human_bytes(999), "999 B")
        self.assertEqual(table.human_bytes(1000), "1 kB")
        self.assertEqual(table.human_bytes(1_234_000_000), "1.23 GB")
        self.assertEqual(table.human_bytes(2_500_000_000_000_000), "2500 TB")

    def test_channels_without_bytes_are_left_out_and_a_difference_is_shown(self):
        comparison = table.Comparison(
            "p",
            result(4.0, moved={"hbm": 1_000_000, "pcie": 0, "dram": 2000}),
            result(4.0, moved={"hbm": 1_000_100, "pcie": 0, "dram": 3000}),
        )
        self.assertEqual(
            table.byte_lines(comparison, "bytes_moved"), ["hbm 1 MB", "dram 2 kB (sim. 3 kB)"]
        )

    def test_table_shows_failures_and_marks_large_errors(self):
        text = table.to_text(
            [
                table.Comparison("good", result(4.0, [4.0, 4.4]), result(4.2)),
                table.Comparison("far", result(4.0), result(6.0)),
                table.Comparison("broken", None, result(6.0)),
            ]
        )
        rows = [[cell.strip() for cell in line.split("|")] for line in text.splitlines()]
        self.assertIn(["good", "4.000", "4.200", "+5.0", "10.0", "-", "hbm 4 MB", "unknown"], rows)
        self.assertIn(["far", "4.000", "6.000", "+50.0 !", "-", "-", "hbm 4 MB", "unknown"], rows)
        self.assertIn(["broken", "failed", "6.000", "-", "-", "-", "hbm - (sim. 4 MB)", "unknown"], rows)


if __name__ == "__main__":
    unittest.main()
