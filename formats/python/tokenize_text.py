#!/usr/bin/env python3
"""Text to token ids and back, for the C++ program, which itself only knows ids.

Ids travel as a file of int32, little-endian, nothing else. No token is added in front or behind: the
models in use have no beginning-of-sequence token, and a chat template is the caller's matter.
"""

import argparse
import pathlib
import sys

import numpy as np
from tokenizers import Tokenizer

ID = np.dtype("<i4")


def load_tokenizer(model):
    path = model / "tokenizer.json"
    if not path.is_file():
        sys.exit(f"{path}: no such file")
    return Tokenizer.from_file(str(path))


def read_bytes(path):
    try:
        return path.read_bytes()
    except OSError as error:
        sys.exit(f"{path}: {error.strerror}")


def encode(arguments):
    tokenizer = load_tokenizer(arguments.model)
    try:
        text = read_bytes(arguments.text).decode("utf-8")  # by hand: text mode would rewrite line ends
    except UnicodeDecodeError as error:
        sys.exit(f"{arguments.text}: byte {error.start} is not UTF-8")
    ids = np.array(tokenizer.encode(text, add_special_tokens=False).ids[: arguments.limit], dtype=ID)
    arguments.out.write_bytes(ids.tobytes())
    print(len(ids))


def decode(arguments):
    data = read_bytes(arguments.ids)
    if len(data) % ID.itemsize:
        sys.exit(f"{arguments.ids}: {len(data)} bytes is no whole number of int32 ids")
    tokenizer = load_tokenizer(arguments.model)
    ids = np.frombuffer(data, dtype=ID)
    unknown = ids[(ids < 0) | (ids >= tokenizer.get_vocab_size())]
    if unknown.size:
        sys.exit(f"{arguments.ids}: id {unknown[0]} is outside the vocabulary of {tokenizer.get_vocab_size()}")
    text = tokenizer.decode(ids.tolist(), skip_special_tokens=False)
    sys.stdout.buffer.write(text.encode("utf-8"))


def count(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True, metavar="encode|decode")
    command = commands.add_parser("encode", help="write the ids of a UTF-8 file and print how many there are")
    command.add_argument("--model", type=pathlib.Path, required=True, help="a Hugging Face folder")
    command.add_argument("--text", type=pathlib.Path, required=True)
    command.add_argument("--out", type=pathlib.Path, required=True)
    command.add_argument("--limit", type=count, help="keep only the first ids")
    command.set_defaults(run=encode)
    command = commands.add_parser("decode", help="print the text of a file of ids")
    command.add_argument("--model", type=pathlib.Path, required=True, help="a Hugging Face folder")
    command.add_argument("--ids", type=pathlib.Path, required=True)
    command.set_defaults(run=decode)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
