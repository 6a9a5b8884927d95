"""Attention over a chosen set of rows, in the terms that every policy here is written in.

Shapes: H query heads, G of them per KV head, D elements per head; P prompt tokens, T later tokens, N = P + T.
Query head h reads KV head h // G. A logit is q.k / sqrt(D); a weight is its softmax over the rows kept.
"""

import dataclasses
import typing

import numpy as np

BLOCK = 32  # later tokens handled at once: bounds the memory of a block's logits


@dataclasses.dataclass
class Layer:
    """What one layer knows once its projections are done. All float32; K and V as they lie in the cache."""

    index: int
    prompt: int  # P
    query: np.ndarray  # (H, T, D), rotated; row t is at position P + t
    keys: np.ndarray  # (KV heads, N, D), rotated
    values: np.ndarray  # (KV heads, N, D)
    query_raw: np.ndarray | None = None  # (H, T, D), before rotation
    keys_raw: np.ndarray | None = None  # (KV heads, N, D), before rotation
    prompt_query: np.ndarray | None = None  # (H, P, D), rotated
    predicted_query: np.ndarray | None = None  # (H, T, D), rotated: what a policy guessed before this layer ran
    rotate: typing.Callable | None = None  # (x, positions) -> x, the model's rotary embedding

    @property
    def heads(self):
        return self.query.shape[0]

    @property
    def kv_heads(self):
        return self.keys.shape[0]

    @property
    def group(self):
        return self.heads // self.kv_heads

    @property
    def tokens(self):
        return self.keys.shape[1]


class Rows:
    """Counts the rows attended, and keeps which they were where a test asks for it."""

    def __init__(self, layer=None):
        self.attended = 0  # over query heads and later tokens
        self.queries = 0
        self.kept = None if layer is None else np.zeros((layer.heads, layer.query.shape[1], layer.tokens), bool)

    def add(self, count, queries):
        self.attended += int(count)
        self.queries += queries


@dataclasses.dataclass
class Block:
    """Later tokens begin..end-1 against the columns (cached positions) a policy looks at."""

    begin: int
    end: int
    position: np.ndarray  # (n, 1): where the block's queries stand
    column: np.ndarray  # (w,): ascending positions
    causal: np.ndarray  # (n, w)


def take(cache, columns):
    """cache[:, columns] without a copy where the columns are contiguous."""
    if len(columns) == columns[-1] - columns[0] + 1:
        return cache[:, columns[0] : columns[-1] + 1]
    return cache[:, columns]


def logits(query, keys):
    """(H, n, D) against (KV heads, w, D) -> (H, n, w)."""
    heads, count, dim = query.shape
    rows = query.reshape(keys.shape[0], -1, dim) @ keys.swapaxes(1, 2)
    return rows.reshape(heads, count, -1) / np.float32(np.sqrt(dim))


def softmax(scores):
    """In place, over the last axis; -inf is a row left out."""
    scores -= scores.max(axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=-1, keepdims=True)
    return scores


def weighted(weights, values):
    """(H, n, w) over (KV heads, w, D) -> (H, n, D)."""
    heads, count, width = weights.shape
    return (weights.reshape(values.shape[0], -1, width) @ values).reshape(heads, count, -1)


def attend(layer, choose, rows, columns=None):
    """The attention of every later token over the rows that `choose` keeps.

    choose(block, scores) -> (scores, keep): scores (H, n, w) may be changed; keep is boolean, broadcastable to it.
    columns(begin, end) -> the positions looked at; without it, all up to the block's last token.
    """
    out = np.empty_like(layer.query)
    for begin in range(0, layer.query.shape[1], BLOCK):
        end = min(begin + BLOCK, layer.query.shape[1])
        position = np.arange(layer.prompt + begin, layer.prompt + end)[:, None]
        column = np.arange(layer.prompt + end) if columns is None else columns(begin, end)
        block = Block(begin, end, position, column, column <= position)
        scores, keep = choose(block, logits(layer.query[:, begin:end], take(layer.keys, column)))
        keep = np.broadcast_to(keep, scores.shape)
        rows.add(keep.sum(), layer.heads * (end - begin))
        if rows.kept is not None:
            rows.kept[:, begin:end, column] = keep
        scores[~keep] = -np.inf
        out[:, begin:end] = weighted(softmax(scores), take(layer.values, column))
    return out


def top(scores, allowed, counts):
    """Which `counts[r]` of the allowed entries of scores[:, r] are largest; equal scores: the older one first.

    scores (H, n, w), allowed (n, w) or (H, n, w), counts (n,): all of them where fewer are allowed -> boolean (H, n, w)
    """
    scores = np.where(allowed, scores, -np.inf)
    keep = np.zeros(scores.shape, bool)
    width = scores.shape[-1]
    for row, count in enumerate(counts):
        count = min(int(count), width)
        if count == 0:
            continue
        line = scores[:, row]
        bound = np.partition(line, width - count, axis=-1)[:, width - count, None]
        keep[:, row] = (line >= bound) & (line > -np.inf)
        for head in np.flatnonzero(keep[:, row].sum(axis=-1) > count):
            order = np.argsort(-line[head], kind="stable")
            keep[head, row] = False
            keep[head, row, order[:count]] = True
    return keep


def prompt_mass(layer, first):
    """Attention mass that the prompt's queries first..P-1 put on each of its tokens, by the full causal softmax.

    -> (KV heads, P) float64: summed over those queries and over the query heads of a KV head.
    """
    mass = np.zeros((layer.kv_heads, layer.prompt))
    for begin in range(first, layer.prompt, BLOCK):
        end = min(begin + BLOCK, layer.prompt)
        scores = logits(layer.prompt_query[:, begin:end], layer.keys[:, :end])
        scores[:, np.arange(end) > np.arange(begin, end)[:, None]] = -np.inf
        weights = softmax(scores)
        mass[:, :end] += weights.sum(axis=1, dtype=np.float64).reshape(layer.kv_heads, layer.group, end).sum(axis=1)
    return mass
