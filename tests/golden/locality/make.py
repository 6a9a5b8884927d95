#!/usr/bin/env python3
"""Keep of a result folder what a test of the locality source needs: the rows that each layer sent up.

    make.py RESULT_FOLDER GROUP > NAME.csv

GROUP: query heads whose choices are united: the model's for select_by kv-group, else 1.
"""

import csv
import json
import pathlib
import sys


def main(folder, group):
    decisions = {}
    for line in (folder / "decisions.jsonl").read_text().splitlines():
        decision = json.loads(line)
        for row in decision["rows"]:
            decisions[decision["step"], row["request"]] = row["rows_per_head"], row["scan_tokens"]
    counts = {}
    with open(folder / "outcomes.csv", newline="") as file:
        for row in csv.DictReader(file):
            counts.setdefault((int(row["step"]), int(row["request"])), []).append(int(row["count"]))
    layers = max(len(each) for each in counts.values())
    print("step,request,group,rows_per_head,tokens," + ",".join(f"layer_{i}" for i in range(layers)))
    for (step, request), each in sorted(counts.items()):
        print(",".join(map(str, [step, request, group, *decisions[step, request], *each])))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), int(sys.argv[2]))
