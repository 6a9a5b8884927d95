"""InfiniGen: a layer ahead, a few columns of a skewed Q and K say which rows to fetch.

Offline, per layer and KV head, on a calibration text: Q = U S V^T, the singular value decomposition of the rotated
queries (rows: tokens, the group's heads below one another). The skew is A = V: (q A).(k A) = q.k, and few columns of q A
carry most of it. With rotary embedding the skew cannot be folded into W_q and W_k, so A is applied after rotation.
At the prompt's end, per KV head: the floor(ratio * D) columns c with the largest sum over prompt and group of |q A|_c.
Step at position t in layer i >= whole_layers:
    guess   q~ = rotate(W_q[i] n) with n the normed input of layer i - 1 (`norm` own: by that layer's own norm, which is
            what its attention was given; next: by layer i's norm)
    partial s_j = sum over the columns of (q~ A)_c (k_j A)_c / sqrt(D), for every row j < t still in the host pool
    count   m_h = number of j with s_j >= max_j s_j - alpha, per query head
    n'      = min(floor(mean over query heads of m_h), B)
    read    per query head the n' rows with the largest s_j, and the new token; exact logits in the softmax.
Host pool: at most `pool_tokens` rows per KV head (0: no bound). A new row that finds it full evicts first one with
    fifo: the oldest · lru: the longest unread · counter: the least often read; lru and counter among positions < t / 2.
A read by several heads of the group counts once per head. The prompt is not trimmed before the first step.
Where the publication is silent: the cap is the budget and does not count the new token; equal scores take the older row,
equal victims are the older one; under grouped-query attention A and the columns are shared by the group (K A is stored
once per KV head), the rows are each query head's own. Published code compares every head with the maximum of head 0; here
each head is compared with its own, as the paper says.
"""

import dataclasses

import numpy as np

from attention import attend, logits, top
from policies.base import Policy


class Pool:
    """Which rows the host still has, per KV head, and how they were read."""

    def __init__(self, layer, capacity, evict):
        self.capacity, self.evict = capacity, evict
        self.here = np.zeros((layer.kv_heads, layer.tokens), bool)
        self.here[:, : layer.prompt] = True
        self.count = np.zeros(self.here.shape, np.int64)
        self.last = np.full(self.here.shape, -1, np.int64)

    def read(self, fetched, position):
        """fetched (KV heads, group, w): what each query head of the step took."""
        width = fetched.shape[-1]
        self.count[:, :width] += fetched.sum(axis=1)
        self.last[:, :width][fetched.any(axis=1)] = position

    def insert(self, position):
        while self.capacity and self.here[0].sum() >= self.capacity:
            self.drop(position)
        self.here[:, position] = True

    def drop(self, position):
        """One victim per KV head; every head always holds as many rows as the next."""
        rank = {"fifo": np.zeros_like(self.count), "lru": self.last, "counter": self.count}[self.evict]
        among = self.here.copy()
        if self.evict != "fifo":
            among[:, position // 2 :] = False
            among = np.where(among.any(axis=1, keepdims=True), among, self.here)
        victim = np.where(among, rank, np.iinfo(np.int64).max).argmin(axis=1)
        self.here[np.arange(len(victim)), victim] = False


@dataclasses.dataclass
class InfiniGen(Policy):
    budget: int = 1024  # tokens: the cap on n'
    alpha: float = 5.0  # published for Llama-2
    partial_ratio: float = 0.2
    whole_layers: int = 2
    norm: str = "own"
    pool_tokens: int = 0
    evict: str = "counter"

    def calibrate(self, model, cached):
        self.skew = [self.skew_of(layer.query, layer.keys.shape[0]) for layer in cached]

    @staticmethod
    def skew_of(query, kv_heads):
        """(H, tokens, D) -> (KV heads, D, D): orthogonal, columns by falling singular value."""
        heads, tokens, dim = query.shape
        stacked = query.reshape(kv_heads, heads // kv_heads * tokens, dim)
        return np.linalg.svd(stacked, full_matrices=False)[2].swapaxes(1, 2).astype(np.float32)

    def predict(self, model, index, before, positions):
        normed = model.input_norm(index - 1 if self.norm == "own" else index, before)
        return model.rotate(model.project(index, normed, "q_proj"), positions)

    def partial(self, layer):
        """The guessed queries and all keys on the chosen skewed columns: (H, T, c), (KV heads, N, c)"""
        skew = self.skew[layer.index]
        dim, kv_heads = skew.shape[-1], layer.kv_heads

        def skewed(query):
            return query.reshape(kv_heads, -1, dim) @ skew

        weight = np.abs(skewed(layer.prompt_query)).sum(axis=1, dtype=np.float64)
        columns = np.argsort(-weight, axis=-1, kind="stable")[:, None, : int(self.partial_ratio * dim + 1e-9)]
        query = np.take_along_axis(skewed(layer.predicted_query), columns, axis=2)
        keys = np.take_along_axis(layer.keys @ skew, columns, axis=2)
        # `logits` divides by the root of the columns' number; the definition wants the root of D.
        query *= np.float32(np.sqrt(columns.shape[-1] / dim))
        return query.reshape(layer.heads, -1, columns.shape[-1]), keys

    def attend(self, layer, rows):
        if layer.index < self.whole_layers:
            return attend(layer, lambda block, scores: (scores, block.causal), rows)
        query, keys = self.partial(layer)
        pool = Pool(layer, self.pool_tokens, self.evict)

        def choose(block, scores):
            width = len(block.column)
            guess = logits(query[:, block.begin : block.end], keys[:, :width])
            keep = np.zeros(guess.shape, bool)
            for row, position in enumerate(block.position[:, 0]):
                here = np.repeat(pool.here[:, None, :width], layer.group, axis=1).reshape(layer.heads, 1, width)
                score = np.where(here, guess[:, row : row + 1], -np.inf)
                passing = (score >= score.max(axis=-1, keepdims=True) - self.alpha).sum(axis=-1)
                count = min(int(passing.sum()) // layer.heads, self.budget)
                fetched = top(score, here, [count])[:, 0]
                pool.read(fetched.reshape(layer.kv_heads, layer.group, width), position)
                pool.insert(position)
                keep[:, row] = fetched
                keep[:, row, position] = True
            return scores, keep

        return attend(layer, choose, rows)
