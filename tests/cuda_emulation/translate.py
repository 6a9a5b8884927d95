#!/usr/bin/env python3
"""Turn a kernel source into C++ for the emulation: launches become calls of simt::launch.

    translate.py KERNEL.cu OUT.cpp
"""

import pathlib
import re
import sys


def matching(text, start):
    """The index of the bracket that closes the one at `start`."""
    depth = 0
    for i in range(start, len(text)):
        depth += (text[i] in "({") - (text[i] in ")}")
        if depth == 0:
            return i
    raise SystemExit("unbalanced brackets")


def arguments(text):
    parts, depth, part = [], 0, ""
    for c in text:
        depth += (c in "(<{") - (c in ")>}")
        if c == "," and depth == 0:
            parts.append(part)
            part = ""
        else:
            part += c
    return [*parts, part]


def kernel_start(text, end):
    """Where `name` or `name<...>` that ends at `end` begins."""
    depth, i = 0, end
    while depth or text[i - 1] == ">" or text[i - 1].isalnum() or text[i - 1] == "_":
        i -= 1
        depth += (text[i] == ">") - (text[i] == "<")
    return i


def translate(text):
    while (at := text.find("<<<")) >= 0:
        name_end = len(text[:at].rstrip())  # the formatter may break the line in front of a launch
        start, end = kernel_start(text, name_end), text.find(">>>", at)
        grid, block, _, stream = arguments(text[at + 3 : end])
        opening = text.index("(", end)
        closing = matching(text, opening)
        call = f"{text[start:name_end]}{text[opening : closing + 1]}"
        text = f"{text[:start]}hybridgen::simt::launch({grid}, {block}, {stream}, [=] {{ {call}; }}){text[closing + 1 :]}"
    text = text.replace("#include <mma.h>\n", "")
    # Blocks run one after the other: dynamic shared memory is one array, as large as any card's.
    return re.sub(r"extern __shared__ (.*?)\[\];", r"__shared__ \1[227 * 1024];", text)


if __name__ == "__main__":
    source, target = map(pathlib.Path, sys.argv[1:])
    target.write_text(translate(source.read_text(encoding="utf-8")), encoding="utf-8")
