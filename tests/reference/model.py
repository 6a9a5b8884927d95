"""SmolLM2's forward pass, layer by layer over all tokens at once.

What a policy keeps in a layer depends only on that layer's own Q, K and V (and, for a predicted query, on the layer
before), so teacher-forced decoding needs no loop over tokens outside attention.
"""

import dataclasses

import numpy as np

from attention import Layer, Rows, attend
from llama_numpy import Llama
from policies.full import Full


@dataclasses.dataclass
class Cached:
    """One layer after the prompt."""

    x: np.ndarray  # (P, hidden): the layer's input
    query: np.ndarray  # (H, P, D), rotated
    keys_raw: np.ndarray  # (KV heads, P, D)
    keys: np.ndarray
    values: np.ndarray


class Model(Llama):
    def __init__(self, folder, kv_dtype=np.float16):
        super().__init__(folder, 0)
        self.kv_dtype = kv_dtype

    def stored(self, x):
        """As it reads back from the cache."""
        return x.astype(self.kv_dtype).astype(np.float32)

    def split(self, x, heads):
        return np.ascontiguousarray(x.reshape(len(x), heads, self.dim).swapaxes(0, 1))

    def embed(self, ids):
        return self.weights["model.embed_tokens.weight"][ids]

    def input_norm(self, layer, x):
        return self.norm(x, f"model.layers.{layer}.input_layernorm")

    def project(self, layer, normed, which):
        """q_proj, k_proj or v_proj of normed input, as (heads, tokens, D), not rotated."""
        heads = self.heads if which == "q_proj" else self.kv_heads
        return self.split(self.linear(normed, f"model.layers.{layer}.self_attn.{which}"), heads)

    def finish(self, layer, x, attended):
        """What follows attention: output projection and MLP, with their residuals."""
        name = f"model.layers.{layer}."
        joined = attended.swapaxes(0, 1).reshape(len(x), -1)
        x = x + self.linear(joined, name + "self_attn.o_proj")
        return x + self.mlp(name + "mlp.", self.norm(x, name + "post_attention_layernorm"))

    def new_rows(self, layer, x, first):
        """Query, K and V of tokens at positions first, first + 1, ... -> query_raw, query, keys_raw, keys, values"""
        positions = np.arange(first, first + len(x))
        normed = self.input_norm(layer, x)
        query, key, value = (self.project(layer, normed, which) for which in ("q_proj", "k_proj", "v_proj"))
        rotated = self.stored(self.rotate(key, positions))
        return query, self.rotate(query, positions), self.stored(key), rotated, self.stored(value)

    def prefill(self, ids):
        """The prompt under full attention -> one Cached per layer."""
        x, cached = self.embed(ids), []
        for index in range(self.layers):
            raw, query, keys_raw, keys, values = self.new_rows(index, x, 0)
            cached.append(Cached(x, query, keys_raw, keys, values))
            layer = Layer(index, 0, query, keys, values)
            x = self.finish(index, x, attend(layer, lambda block, scores: (scores, block.causal), Rows()))
        return cached

    def decode(self, cached, ids, policy):
        """Later tokens, teacher-forced, with the policy in force at every layer.

        -> final hidden state of each (T, hidden), normed, ready for the output matrix; rows attended
        """
        prompt, rows = len(cached[0].x), Rows()
        positions = np.arange(prompt, prompt + len(ids))
        x, before = self.embed(ids), None
        for index, old in enumerate(cached):
            raw, query, *new = self.new_rows(index, x, prompt)
            keys_raw, keys, values = (
                np.concatenate(pair, axis=1) for pair in zip((old.keys_raw, old.keys, old.values), new)
            )
            layer = Layer(index, prompt, query, keys, values, raw, keys_raw, old.query, rotate=self.rotate)
            if before is not None:
                layer.predicted_query = policy.predict(self, index, before, positions)
            before, x = x, self.finish(index, x, policy.attend(layer, rows))
        return self.norm(x, "model.norm"), rows


def full_perplexity(model, ids):
    """Perplexity of ids[1:] under full attention from an empty cache."""
    prompt = model.prefill(ids[:1])
    hidden, _ = model.decode(prompt, ids[1:-1], Full())
    first = model.norm(model.finish(model.layers - 1, prompt[-1].x, first_attended(prompt[-1], model)), "model.norm")
    hidden = np.concatenate([first, hidden])
    scores = hidden @ model.weights["model.embed_tokens.weight"].T
    top = scores.max(axis=-1)
    loss = top + np.log(np.exp(scores - top[:, None]).sum(axis=-1)) - scores[np.arange(len(hidden)), ids[1:]]
    return float(np.exp(loss.mean()))


def first_attended(cached, model):
    """The first token attends to itself alone: its own V, once per query head."""
    return np.repeat(cached.values, model.heads // model.kv_heads, axis=0)
