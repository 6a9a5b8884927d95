#!/usr/bin/env python3
"""Hold how CUDA files are compiled against what the project promises: for every card, warnings as errors.

    check_architectures.py BUILD_DIR

Reads BUILD_DIR/compile_commands.json. Exits 77 where the build was asked for other cards (-DCMAKE_CUDA_ARCHITECTURES),
or where nvcc is too old for all of them.
"""

import json
import pathlib
import re
import sys

CARDS = {"80", "90", "100", "120"}


def faults(commands):
    for entry in commands:
        text = entry.get("command") or " ".join(entry["arguments"])
        name = pathlib.Path(entry["file"]).name
        cards = set(re.findall(r"code=\[?sm_(\d+)", text))
        if cards != CARDS:
            yield f"{name}: compiled for {sorted(cards, key=int)}"
        if "-Werror=all-warnings" not in text:
            yield f"{name}: warnings are no errors"


def main():
    build = pathlib.Path(sys.argv[1])
    commands = json.loads((build / "compile_commands.json").read_text(encoding="utf-8"))
    kernels = [entry for entry in commands if entry["file"].endswith(".cu")]
    cache = (build / "CMakeCache.txt").read_text(encoding="utf-8")
    chosen = re.search(r"^CMAKE_CUDA_ARCHITECTURES:\w+=(.*)$", cache, re.M)
    if chosen and set(re.findall(r"\d+", chosen[1])) != CARDS:
        print(f"this build was asked for {chosen[1]} alone")
        sys.exit(77)
    found = list(faults(kernels))
    print(*found, sep="\n", end="\n" if found else "")
    print(f"{len(kernels)} CUDA files, for sm_{', sm_'.join(sorted(CARDS, key=int))}")
    sys.exit(1 if found or not kernels else 0)


if __name__ == "__main__":
    main()
