"""What compare.py does with torch, on the CPU and the small shape; streams that order copies have no effect there."""

import contextlib
import io
import json
import pathlib
import sys
import tempfile
import unittest
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import compare  # noqa: E402

try:
    import decode
    import torch
except ImportError as error:
    # The form in which `./dev test` collects reasons; ctest takes this exit status for a skipped test.
    print(f"{__file__}:1: Skipped\n{sys.executable} has no torch and transformers ({error})\n\n[  SKIPPED ] decode")
    sys.exit(77)

torch.set_num_threads(1)
SMALL = ["--device", "cpu", "--shape", "small", "--context", "64", "--context", "32", "--steps", "4", "--repeats", "2"]


class ForgetfulCache(decode.transformers.DynamicCache):
    """Loses the first token's V of one layer."""

    def update(self, keys, values, layer, *arguments, **options):
        keys, values = super().update(keys, values, layer, *arguments, **options)
        if layer == 2 and values.shape[-2] > 1:
            values[:, :, 0] = 0
        return keys, values


def compared(*arguments):
    """Exit status and both outputs."""
    out, err = io.StringIO(), io.StringIO()
    status = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            compare.main([*SMALL, *arguments])
        except SystemExit as error:
            status = error.code
    return status, out.getvalue(), err.getvalue()


def makers_of(**makers):
    return mock.patch.object(decode, "caches", lambda which: makers)


class DecodeTest(unittest.TestCase):
    def test_shapes_are_those_that_the_command_offers(self):
        self.assertEqual(tuple(decode.SHAPES), compare.SHAPES)

    def test_a_trial_prints_and_writes_its_rows(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "out.json"
            status, out, err = compared("--out", str(path))
            self.assertEqual(status, 0, err)
            result = json.loads(path.read_text(encoding="utf-8"))
        self.assertIn("transformers, resident", out)
        self.assertEqual([each["context"] for each in result["rows"]], [64, 32])
        self.assertEqual(len(result["rows"][0]["step_ms"]), 8)
        self.assertEqual(result["rows"][0]["kv_bytes"], 2 * 4 * 2 * 32 * 64 * 2)
        self.assertLess(result["check"]["resident"], decode.CHECK_BOUND)
        self.assertEqual(result["torch"], torch.__version__)

    def test_without_a_gpu_the_default_device_ends_with_exit_4(self):
        if torch.cuda.is_available():
            self.skipTest("there is a GPU")
        status, _, err = compared("--device", "cuda")
        self.assertEqual((status, len(err.splitlines())), (4, 1))

    @unittest.skipUnless(decode.TAKES_OFFLOADING, "DynamicCache takes no offloading")
    def test_offloaded_caches_are_filled_and_decode_as_the_resident_one(self):
        with mock.patch("torch.Stream"), mock.patch("torch.cuda.Stream"), mock.patch("torch.cuda.default_stream"), \
             mock.patch("torch.cuda.current_stream"):  # fmt: skip
            makers = decode.caches("both")
            self.assertEqual(list(makers), ["resident", "offloaded, ordered", "offloaded"])
            self.assertTrue(all(make().offloading for make in list(makers.values())[1:]))
            ordered = decode.fill(makers["offloaded, ordered"](), [(torch.ones(1, 2, 3, 4),) * 2])
            ordered.prefetch_stream.wait_stream.assert_called_with(torch.cuda.current_stream())
            with makers_of(**makers):
                status, out, err = compared()
        self.assertEqual(status, 0, err)
        self.assertEqual(out.count("transformers, offloaded"), 4, out)

    def test_a_cache_that_decodes_wrongly_is_not_timed(self):
        with makers_of(resident=ForgetfulCache):
            status, out, err = compared()
        self.assertEqual(status, 1)
        self.assertIn("nothing was timed", err)
        self.assertNotIn("ms per step", out)
        with makers_of(resident=decode.transformers.DynamicCache, offloaded=ForgetfulCache):
            status, out, err = compared()
        self.assertEqual(status, 1)
        self.assertIn("wrong answers: offloaded", err)
        self.assertNotIn("transformers, offloaded", out)

    def test_a_timed_step_with_other_logits_is_marked(self):
        makers = {"resident": decode.transformers.DynamicCache, "offloaded": ForgetfulCache}
        with mock.patch.object(decode, "check", lambda *_: dict.fromkeys(makers, 0.0)), makers_of(**makers):
            status, out, err = compared()
        self.assertEqual(status, 1)
        self.assertIn("wrong answers: offloaded, 64 tokens; offloaded, 32 tokens", err)
        self.assertEqual(out.count(" !"), 2, out)


if __name__ == "__main__":
    unittest.main()
