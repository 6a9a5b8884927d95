"""The picture of quality against bytes."""

import importlib.util
import pathlib
import tempfile
import unittest

from analysis import quality_curve


def row(name, size, kl):
    return {"name": name, "attention_bytes_per_token": size, "mean_kl": kl, "mean_kl_error": kl / 10}


class QualityCurve(unittest.TestCase):
    def test_rows_of_one_policy_are_a_line_by_falling_bytes(self):
        lines = quality_curve.series({"policies": [row("b", 1, .2), row("a", 5, .1), row("b", 3, .1)]})
        self.assertEqual(list(lines), ["b", "a"])
        self.assertEqual([each["attention_bytes_per_token"] for each in lines["b"]], [3, 1])

    def test_picture_is_written(self):
        if importlib.util.find_spec("matplotlib") is None:
            self.skipTest("no matplotlib here")
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "curve.png"
            quality_curve.draw({"policies": [row("full-gpu", 9e6, 0), row("quest", 2e6, .1), row("quest", 1e6, .3)]}, path)
            self.assertGreater(path.stat().st_size, 5000)


if __name__ == "__main__":
    unittest.main()
