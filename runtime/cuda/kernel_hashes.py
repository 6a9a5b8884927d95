#!/usr/bin/env python3
"""The source hash of every CUDA kernel: of its .cu file and of all headers of runtime/cuda that it includes.

    kernel_hashes.py                    print `kernel hash`, one a line
    kernel_hashes.py --header OUT       write them as a C++ header, only where it changed

A header outside runtime/cuda does not count: it holds types that host code and kernels share, not what a kernel does.
"""

import argparse
import hashlib
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
INCLUDE = re.compile(r'^\s*#\s*include\s*"(runtime/cuda/[^"]+)"', re.M)
DIGITS = 12


def sources_of(root, path):
    """The file and what it includes of runtime/cuda, directly or not, by path."""
    found, waiting = set(), [path]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        waiting += INCLUDE.findall((root / path).read_text(encoding="utf-8"))
    return sorted(found)


def hashes(root=ROOT):
    """Hash by kernel, by name."""
    result = {}
    for file in sorted((root / "runtime/cuda/kernels").glob("*.cu")):
        digest = hashlib.sha256()
        for path in sources_of(root, file.relative_to(root).as_posix()):
            digest.update(path.encode() + b"\0" + (root / path).read_bytes() + b"\0")
        result[file.stem] = digest.hexdigest()[:DIGITS]
    return result


def header_text(root=ROOT):
    lines = "".join(f'    {{"{kernel}", "{digest}"}},\n' for kernel, digest in hashes(root).items())
    return (
        "// Written by runtime/cuda/kernel_hashes.py.\n#pragma once\n\n"
        "inline constexpr const char* kKernelHashes[][2] = {\n" + lines + "};\n"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--header", type=pathlib.Path)
    header = parser.parse_args().header
    if header is None:
        for kernel, digest in hashes().items():
            print(kernel, digest)
        return
    text = header_text()
    if not header.exists() or header.read_text(encoding="utf-8") != text:
        header.parent.mkdir(parents=True, exist_ok=True)
        header.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
