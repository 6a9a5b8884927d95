#!/usr/bin/env python3
"""Hold traces/VERIFIED.md and the README against the sources of the CUDA kernels.

    check_verified.py [--root DIR]                      say what differs; exit 1 where anything does
    check_verified.py [--root DIR] --mark-unverified    take every changed source down as `unverified`

Every kernel file has a line and every line a file; a line names the hash of the source as it is (runtime/cuda/
kernel_hashes.py); "N kernels, M verified" is true in the ledger and in the README. Only `hybridgen bench-machine` ever
writes `verified`.
"""

import argparse
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "runtime/cuda"))
sys.dont_write_bytecode = True
import kernel_hashes  # noqa: E402

LEDGER = "traces/VERIFIED.md"
LINE = re.compile(r"^\| ([a-z_0-9]+) \| ([^|]*) \| (verified|unverified) \|.*$", re.M)
COUNT = re.compile(r"\d+ kernels, \d+ verified")


def lines_of(text):
    """(hash, state) by kernel."""
    return {match[1]: (match[2].strip(), match[3]) for match in LINE.finditer(text)}


def count_of(lines):
    return f"{len(lines)} kernels, {sum(state == 'verified' for _, state in lines.values())} verified"


def faults(root):
    hashes, lines = kernel_hashes.hashes(root), lines_of((root / LEDGER).read_text(encoding="utf-8"))
    for name in sorted(hashes.keys() - lines.keys()):
        yield f"{LEDGER}: no line for runtime/cuda/kernels/{name}.cu"
    for name in sorted(lines.keys() - hashes.keys()):
        yield f"{LEDGER}: {name}: there is no such kernel"
    for name in sorted(lines.keys() & hashes.keys()):
        if lines[name][0] != hashes[name]:
            yield (f"{LEDGER}: {name}: its source is {hashes[name]} now, the line speaks of {lines[name][0]}; measure it"
                   " (hybridgen bench-machine) or take it down as unverified (check_verified.py --mark-unverified)")
    for file in (LEDGER, "README.md"):
        found = COUNT.findall((root / file).read_text(encoding="utf-8"))
        if found != [count_of(lines)]:
            yield f"{file}: says {found}, the ledger's lines say {count_of(lines)}"
    if not hashes:
        yield "there is no kernel"


def mark_unverified(root):
    hashes, path = kernel_hashes.hashes(root), root / LEDGER
    text = path.read_text(encoding="utf-8")
    old = {match[1]: match[0] for match in LINE.finditer(text)}
    known = lines_of(text)
    table = [
        old[name] if name in old and known[name][0] == digest else f"| {name} | {digest} | unverified |  |  |  |  |  |"
        for name, digest in hashes.items()
    ]
    head = LINE.split(text)[0] if old else text
    text = head + "\n".join(table) + "\n"
    count = count_of(lines_of(text))
    path.write_text(COUNT.sub(count, text), encoding="utf-8")
    readme = root / "README.md"
    readme.write_text(COUNT.sub(count, readme.read_text(encoding="utf-8")), encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[2])
    parser.add_argument("--mark-unverified", action="store_true")
    arguments = parser.parse_args()
    if arguments.mark_unverified:
        mark_unverified(arguments.root)
    found = list(faults(arguments.root))
    print(*found, sep="\n", end="\n" if found else "")
    print(count_of(lines_of((arguments.root / LEDGER).read_text(encoding="utf-8"))))
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
