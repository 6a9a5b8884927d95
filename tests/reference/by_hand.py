#!/usr/bin/env python3
"""The selections, token by token, in plain Python: nothing vectorised, no state but sets and lists.

`by_hand.py` writes cases/*.json: inputs small enough to follow on paper and the positions kept at every step, for tests in
any language. Q and K are multiples of 1/64, so they are exact in fp16. Each function takes a case and gives
kept[query head][step] = ascending positions.
"""

import json
import math
import pathlib
import random

CASES = pathlib.Path(__file__).resolve().parent / "cases"


def dot(a, b):
    return sum(x * y for x, y in zip(a, b))


def weights(query, keys, positions):
    scores = {j: dot(query, keys[j]) / math.sqrt(len(query)) for j in positions}
    highest = max(scores.values())
    total = sum(math.exp(s - highest) for s in scores.values())
    return {j: math.exp(s - highest) / total for j, s in scores.items()}


def heads_of(case, kv):
    group = len(case["query"]) // len(case["keys"])
    return range(kv * group, (kv + 1) * group)


def for_each_kv_head(case, select):
    """select(kv) -> positions per step, shared by the query heads of that KV head."""
    kept = []
    for kv in range(len(case["keys"])):
        kept += [[sorted(rows) for rows in select(kv)]] * len(heads_of(case, kv))
    return kept


def prompt_mass(case, kv, first):
    mass = [0.0] * case["prompt"]
    for head in heads_of(case, kv):
        for i in range(first, case["prompt"]):
            for j, weight in weights(case["prompt_query"][head][i], case["keys"][kv], range(i + 1)).items():
                mass[j] += weight
    return mass


def h2o(case):
    budget = case["settings"]["budget"]

    def select(kv):
        mass = dict(enumerate(prompt_mass(case, kv, 0)))
        for step in range(len(case["query"][0])):
            t = case["prompt"] + step
            while len(mass) >= budget:
                old = [j for j in mass if j < t - budget // 2]
                del mass[min(old, key=lambda j: (mass[j], j))]
            mass[t] = 0.0
            yield list(mass)
            for head in heads_of(case, kv):
                for j, weight in weights(case["query"][head][step], case["keys"][kv], list(mass)).items():
                    mass[j] += weight

    return for_each_kv_head(case, select)


def snapkv(case):
    settings, prompt = case["settings"], case["prompt"]
    window, half = settings["window"], settings["kernel"] // 2

    def select(kv):
        prefix = prompt - window
        mass = prompt_mass(case, kv, prefix)[:prefix]
        pooled = [max(mass[max(0, j - half) : j + half + 1]) for j in range(prefix)]
        chosen = sorted(range(prefix), key=lambda j: (-pooled[j], j))[: settings["budget"] - window]
        cache = chosen[::-1] + list(range(prefix, prompt))  # the front is given up first
        for step in range(len(case["query"][0])):
            cache.append(prompt + step)
            if settings["generated"] == "bound" and len(cache) > settings["budget"]:
                cache.pop(0)
            if settings["generated"] == "slide":
                cache.remove(prompt + step - window)
            yield list(cache)

    return for_each_kv_head(case, select)


def quest(case):
    size, kept = case["settings"]["page"], []
    for head, queries in enumerate(case["query"]):
        keys = case["keys"][head // (len(case["query"]) // len(case["keys"]))]
        steps = []
        for step, query in enumerate(queries):
            t = case["prompt"] + step
            bound = {}
            for page in range(t // size):
                channels = list(zip(*keys[page * size : (page + 1) * size]))
                bound[page] = sum(max(q * min(c), q * max(c)) for q, c in zip(query, channels))
            best = sorted(bound, key=lambda p: (-bound[p], p))[: case["settings"]["budget"] // size - 1]
            steps.append([j for j in range(t + 1) if j // size in [*best, t // size]])
        kept.append(steps)
    return kept


def skewed(row, skew):
    return [dot(row, column) for column in zip(*skew)]


def infinigen_columns(case, kv):
    dim = len(case["keys"][0][0])
    rows = [skewed(row, case["skew"][kv]) for head in heads_of(case, kv) for row in case["prompt_query"][head]]
    total = [sum(abs(row[c]) for row in rows) for c in range(dim)]
    return sorted(range(dim), key=lambda c: (-total[c], c))[: int(case["settings"]["partial_ratio"] * dim + 1e-9)]


def infinigen(case):
    settings, heads, dim = case["settings"], range(len(case["query"])), len(case["keys"][0][0])
    kvs = range(len(case["keys"]))
    columns = [infinigen_columns(case, kv) for kv in kvs]
    keys = [[skewed(row, case["skew"][kv]) for row in case["keys"][kv]] for kv in kvs]
    pool = [{j: {"count": 0, "last": -1} for j in range(case["prompt"])} for _ in kvs]
    kept = [[] for _ in heads]
    for step in range(len(case["query"][0])):
        t, scores = case["prompt"] + step, []
        for head in heads:
            kv = head // (len(heads) // len(kvs))
            query = skewed(case["predicted_query"][head][step], case["skew"][kv])
            scores.append({j: sum(query[c] * keys[kv][j][c] for c in columns[kv]) / math.sqrt(dim) for j in pool[kv]})
        passing = [sum(s >= max(score.values()) - settings["alpha"] for s in score.values()) for score in scores]
        count = min(sum(passing) // len(heads), settings["budget"])
        for head in heads:
            kv = head // (len(heads) // len(kvs))
            fetched = sorted(scores[head], key=lambda j: (-scores[head][j], j))[:count]
            for j in fetched:
                pool[kv][j]["count"] += 1
                pool[kv][j]["last"] = t
            kept[head].append(sorted([*fetched, t]))
        for rows in pool:
            while settings["pool_tokens"] and len(rows) >= settings["pool_tokens"]:
                del rows[victim(rows, settings["evict"], t)]
            rows[t] = {"count": 0, "last": -1}
    return kept


def victim(rows, evict, t):
    if evict == "fifo":
        return min(rows)
    among = [j for j in rows if j < t // 2] or list(rows)
    return min(among, key=lambda j: (rows[j]["count" if evict == "counter" else "last"], j))


def random_case(policy, settings, seed, prompt=11, later=9, heads=4, kv_heads=2, dim=4):
    draw = random.Random(seed)

    def rows(outer, count):
        return [[[draw.randint(-160, 160) / 64 for _ in range(dim)] for _ in range(count)] for _ in range(outer)]

    case = {"policy": policy, "settings": settings, "layer": 2, "prompt": prompt}
    case["prompt_query"], case["query"] = rows(heads, prompt), rows(heads, later)
    case["keys"] = rows(kv_heads, prompt + later)
    if policy == "infinigen":
        case["predicted_query"] = rows(heads, later)
        # Orthogonal and easy to follow: columns swapped, one turned by the 3-4-5 triangle.
        turn = [[0.6, -0.8, 0, 0], [0.8, 0.6, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]]
        case["skew"] = [turn, turn[::-1]]
    return case


def suite():
    yield "h2o", random_case("h2o", {"budget": 6}, 1)
    yield "h2o-odd-budget", random_case("h2o", {"budget": 7}, 2)
    yield "h2o-grows-first", random_case("h2o", {"budget": 14}, 3)
    yield "h2o-long", random_case("h2o", {"budget": 8}, 14, prompt=16, later=48)
    for number, generated in enumerate(("keep", "bound", "slide")):
        settings = {"budget": 6, "window": 2, "kernel": 3, "pooling": "max", "generated": generated}
        yield f"snapkv-{generated}", random_case("snapkv", settings, 4 + number)
    yield "quest", random_case("quest", {"budget": 6, "page": 2, "dense_layers": 2}, 7)
    yield "quest-page-4", random_case("quest", {"budget": 8, "page": 4, "dense_layers": 2}, 8)
    basis = {"budget": 5, "alpha": 1.0, "partial_ratio": 0.5, "whole_layers": 2, "pool_tokens": 0, "evict": "counter"}
    yield "infinigen", random_case("infinigen", basis, 9)
    yield "infinigen-cap", random_case("infinigen", {**basis, "alpha": 9.0}, 10)
    for number, evict in enumerate(("fifo", "lru", "counter")):
        settings = {**basis, "pool_tokens": 13, "evict": evict}
        yield f"infinigen-pool-{evict}", random_case("infinigen", settings, 11 + number)


BY_HAND = {"h2o": h2o, "snapkv": snapkv, "quest": quest, "infinigen": infinigen}


def main():
    for name, case in suite():
        case["kept"] = BY_HAND[case["policy"]](case)
        lines = ",\n".join(f" {json.dumps(key)}: {json.dumps(value)}" for key, value in case.items())
        (CASES / f"{name}.json").write_text(f"{{\n{lines}\n}}\n")


if __name__ == "__main__":
    main()
