#!/usr/bin/env python3
"""Every CUDA kernel file has a line in traces/VERIFIED.md, and every line has a file.

    check_verified.py [--root DIR]
"""

import argparse
import pathlib
import re
import sys


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[2])
    root = parser.parse_args().root
    files = {path.stem for path in (root / "runtime/cuda/kernels").glob("*.cu")}
    text = (root / "traces/VERIFIED.md").read_text(encoding="utf-8")
    lines = {match[1] for match in re.finditer(r"^\| ([a-z_]+)[^|]*\|", text, re.M)} - {"kernel"}
    for name in sorted(files - lines):
        print(f"traces/VERIFIED.md: no line for runtime/cuda/kernels/{name}.cu")
    for name in sorted(lines - files):
        print(f"traces/VERIFIED.md: {name}: there is no such kernel")
    print(f"{len(files)} kernel files, {len(lines)} lines")
    sys.exit(1 if files != lines or not files else 0)


if __name__ == "__main__":
    main()
