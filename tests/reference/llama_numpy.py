#!/usr/bin/env python3
"""A Llama forward pass to hold ours against: NumPy, fp32, full attention, nothing clever.

    llama_numpy.py perplexity --model DIR --ids FILE --first N [--skip M]
    llama_numpy.py greedy     --model DIR --ids FILE --first N --generate G [--out FILE]

FILE holds int32 little-endian ids, as formats/python/tokenize_text.py writes them.
"""

import argparse
import hashlib
import json
import pathlib

import numpy as np
from safetensors.numpy import load_file

CHUNK = 512  # positions fed at once: bounds the memory of the score matrix


class Llama:
    """Weights and the keys and values of every position fed so far."""

    def __init__(self, folder, positions):
        config = json.loads((folder / "config.json").read_text())
        assert config["model_type"] == "llama" and config["tie_word_embeddings"], "another model family"
        self.weights = {name: w.astype(np.float32) for name, w in load_file(folder / "model.safetensors").items()}
        self.layers = config["num_hidden_layers"]
        self.heads = config["num_attention_heads"]
        self.kv_heads = config["num_key_value_heads"]
        self.dim = config["head_dim"]
        self.eps = config["rms_norm_eps"]
        self.theta = config["rope_theta"]
        self.keys = np.zeros((self.layers, self.kv_heads, positions, self.dim), np.float32)
        self.values = np.zeros_like(self.keys)
        self.length = 0

    def feed(self, ids):
        """Appends ids (a chunk of the prompt, or one token) and returns the logits after each of them."""
        count = len(ids)
        positions = np.arange(self.length, self.length + count)
        x = self.weights["model.embed_tokens.weight"][ids]
        for layer in range(self.layers):
            name = f"model.layers.{layer}."
            x = x + self.attention(layer, name, self.norm(x, name + "input_layernorm"), positions)
            x = x + self.mlp(name + "mlp.", self.norm(x, name + "post_attention_layernorm"))
        self.length += count
        return self.norm(x, "model.norm") @ self.weights["model.embed_tokens.weight"].T

    def linear(self, x, name):
        return x @ self.weights[name + ".weight"].T

    def norm(self, x, name):
        return x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + self.eps) * self.weights[name + ".weight"]

    def mlp(self, name, x):
        gate = self.linear(x, name + "gate_proj")
        return self.linear(gate / (1 + np.exp(-gate)) * self.linear(x, name + "up_proj"), name + "down_proj")

    def rotate(self, x, positions):
        """Rotary embedding; element i turns together with element i + dim/2."""
        half = self.dim // 2
        angles = positions[:, None] * self.theta ** (-np.arange(half) / half)
        cos, sin = np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
        low, high = x[..., :half], x[..., half:]
        return np.concatenate([low * cos - high * sin, high * cos + low * sin], axis=-1)

    def attention(self, layer, name, x, positions):
        count, end = len(positions), positions[-1] + 1

        def heads_first(y, heads):
            return y.reshape(count, heads, self.dim).swapaxes(0, 1)

        query = self.rotate(heads_first(self.linear(x, name + "self_attn.q_proj"), self.heads), positions)
        key = self.rotate(heads_first(self.linear(x, name + "self_attn.k_proj"), self.kv_heads), positions)
        self.keys[layer, :, positions[0] : end] = key
        self.values[layer, :, positions[0] : end] = heads_first(self.linear(x, name + "self_attn.v_proj"), self.kv_heads)

        hidden = np.arange(end)[None, :] > positions[:, None]  # what lies in a query's future
        result = np.empty((self.heads, count, self.dim), np.float32)
        for head in range(self.heads):
            kv = head // (self.heads // self.kv_heads)
            scores = query[head] @ self.keys[layer, kv, :end].T / np.float32(np.sqrt(self.dim))
            scores[hidden] = -np.inf
            weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
            weights /= weights.sum(axis=-1, keepdims=True)
            result[head] = weights @ self.values[layer, kv, :end]
        return self.linear(result.swapaxes(0, 1).reshape(count, -1), name + "self_attn.o_proj")


def perplexity(folder, ids, skip):
    """Over the predictions made from position `skip` on, each of the token that follows it."""
    model = Llama(folder, len(ids))
    loss = []
    for start in range(0, len(ids) - 1, CHUNK):
        stop = min(start + CHUNK, len(ids) - 1)
        logits = model.feed(ids[start:stop]).astype(np.float64)
        top = logits.max(axis=-1)
        chosen = logits[np.arange(stop - start), ids[start + 1 : stop + 1]]
        loss.append(top + np.log(np.exp(logits - top[:, None]).sum(axis=-1)) - chosen)
    loss = np.concatenate(loss)[skip:]
    return float(np.exp(loss.mean())), len(loss)


def top_two(logits):
    ids = np.argsort(-logits, kind="stable")[:2]
    return {"ids": [int(i) for i in ids], "logits": [round(float(logits[i]), 4) for i in ids]}


def greedy(folder, ids, count):
    """The most likely token, `count` times; each step with its two best ids and logits."""
    model = Llama(folder, len(ids) + count)
    for start in range(0, len(ids), CHUNK):
        logits = model.feed(ids[start : start + CHUNK])[-1]
    steps = []
    for _ in range(count):
        steps.append(top_two(logits))
        logits = model.feed([steps[-1]["ids"][0]])[-1]
    return steps


def greedy_record(made_by, prompt, steps):
    """What tests/golden keeps: how it was made, from what, and each step."""
    return {
        "made_by": made_by,
        "prompt_tokens": len(prompt),
        "prompt_sha256": hashlib.sha256(np.asarray(prompt, "<i4").tobytes()).hexdigest(),
        "ids": [step["ids"][0] for step in steps],
        "top2": steps,
    }


def dump(record):
    """JSON with one step per line, so that a change shows as a readable difference."""
    steps = ",\n".join("    " + json.dumps(step) for step in record["top2"])
    text = json.dumps({**record, "top2": "STEPS"}, indent=2)
    ids = json.dumps(record["ids"], indent=2).replace("\n", "\n  ")
    return text.replace(ids, json.dumps(record["ids"])).replace('"STEPS"', f"[\n{steps}\n  ]") + "\n"


def read_ids(path, first):
    ids = np.fromfile(path, dtype="<i4")
    assert first is None or len(ids) >= first, f"{path} has only {len(ids)} ids"
    return ids[:first]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("perplexity", "greedy"))
    parser.add_argument("--model", type=pathlib.Path, required=True, help="a Hugging Face folder")
    parser.add_argument("--ids", type=pathlib.Path, required=True)
    parser.add_argument("--first", type=int, help="use only the first N ids")
    parser.add_argument("--skip", type=int, default=0, help="perplexity: leave out the first M predictions")
    parser.add_argument("--generate", type=int, default=64, help="greedy: how many tokens")
    parser.add_argument("--out", type=pathlib.Path, help="greedy: write here and not to standard output")
    arguments = parser.parse_args()
    ids = read_ids(arguments.ids, arguments.first)
    if arguments.what == "perplexity":
        value, predictions = perplexity(arguments.model, ids, arguments.skip)
        print(f"{value:.4f} over {predictions} predictions")
        return
    text = dump(greedy_record("tests/reference/llama_numpy.py", ids, greedy(arguments.model, ids, arguments.generate)))
    if arguments.out:
        arguments.out.write_text(text)
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
