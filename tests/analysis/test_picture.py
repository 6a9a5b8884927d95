import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import fake_hybridgen  # noqa: E402
from analysis import picture, results, table  # noqa: E402

try:
    import matplotlib  # noqa: F401
except ImportError:
    matplotlib = None

OP_KINDS = pathlib.Path(__file__).resolve().parents[2] / "core/machine/names.cpp"


class PictureTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def result(self, policy, real, factor):
        folder = self.folder / f"{policy}-{real}"
        fake_hybridgen.write(folder, policy, real, factor)
        return results.load(folder)

    def test_every_kind_of_op_has_a_colour(self):
        text = OP_KINDS.read_text(encoding="utf-8")
        for _, _, kinds in picture.GROUPS:
            for kind in kinds:
                self.assertIn(f'"{kind}"', text)
        names = text.split("kOpNames = {")[1].split("}")[0].replace('"', "").split(",")
        coloured = [kind for _, _, kinds in picture.GROUPS for kind in kinds]
        self.assertEqual(sorted(coloured), sorted(name.strip() for name in names))

    def test_shown_ops_start_at_the_first_projection(self):
        real = self.result("hybridgen", True, 1.0)
        ops = picture.shown_ops(real, 1, range(2, 4))
        self.assertEqual(ops[0], ("device threads", "norm_qkv", 0.0, 60.6))
        self.assertEqual(sum(kind == "ffn" for _, kind, _, _ in ops), 2)

    def test_middle_step_is_the_median_by_duration(self):
        # Durations grow from step 1 to step 5.
        self.assertEqual(picture.median_decode_step(self.result("hybridgen", True, 1.0)), 3)

    @unittest.skipIf(matplotlib is None, "no matplotlib here")
    def test_draws_with_all_some_or_no_results(self):
        real = self.result("hybridgen", True, 1.0)
        simulated = self.result("hybridgen", False, 1.1)
        for number, sides in enumerate([(real, simulated), (real, None), (None, simulated)]):
            path = self.folder / f"{number}.png"
            picture.draw([table.Comparison("hybridgen", *sides)], path)
            self.assertEqual(path.read_bytes()[:8], b"\x89PNG\r\n\x1a\n")


if __name__ == "__main__":
    unittest.main()
