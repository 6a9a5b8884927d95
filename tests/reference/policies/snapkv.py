"""SnapKV: the prompt is compacted once, by what its last queries look at.

With observation window w, pooling kernel p and capacity C, per KV head and for a prompt of P > C tokens:
    mass_j   = sum over queries P-w..P-1 and the group's query heads of the causal softmax weight on j,  j < P - w
    pooled_j = max (or mean) of mass over j - p//2 .. j + p//2   (outside the prefix: nothing; for the mean, 0)
    kept     = the C - w positions with the largest pooled mass, and the w positions of the window.
A prompt of at most C tokens is kept whole. Settings of the publication's LongBench run at capacity 1,024: w 32, p 7, max.
Generated tokens: `keep` as published, on top of C. `bound`: the cache never holds more than C rows, the new one included;
each new token evicts the chosen prompt row with the least pooled mass, and once none is left (or where the prompt was kept
whole), the oldest row. `slide`: the same bound, but the chosen prompt rows stay and the w newest rows slide (a prompt kept
whole: as `bound`).
Where the publication is silent: equal pooled masses keep the older row and evict the younger; the group of a KV head
decides together (published code repeats K for every query head and lets each decide); `bound` and `slide` are ours.
"""

import dataclasses

import numpy as np

from attention import attend, prompt_mass
from policies.base import Policy

FOREVER = np.iinfo(np.int64).max


def pool(mass, kernel, how):
    """Along the last axis, stride 1, same length."""
    half = kernel // 2
    filler = -np.inf if how == "max" else 0.0
    padded = np.pad(mass, ((0, 0), (half, half)), constant_values=filler)
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel, axis=-1)
    return windows.max(axis=-1) if how == "max" else windows.sum(axis=-1) / kernel


@dataclasses.dataclass
class SnapKv(Policy):
    budget: int = 1024  # tokens: the capacity C
    window: int = 32
    kernel: int = 7
    pooling: str = "max"
    generated: str = "keep"

    def prompt_order(self, layer):
        """Per KV head, the prompt's kept positions in the order in which `bound` gives them up."""
        prompt = layer.prompt
        if prompt <= self.budget:
            return np.tile(np.arange(prompt), (layer.kv_heads, 1))
        prefix = prompt - self.window
        mass = prompt_mass(layer, prefix)[:, :prefix]
        best = np.argsort(-pool(mass, self.kernel, self.pooling), axis=-1, kind="stable")
        chosen = best[:, : self.budget - self.window][:, ::-1]
        window = np.tile(np.arange(prefix, prompt), (layer.kv_heads, 1))
        return np.concatenate([chosen, window], axis=1)

    def last_reader(self, layer):
        """(KV heads, N): the last position that still reads a row; -1 where the compaction dropped it."""
        order = self.prompt_order(layer)
        kv = np.arange(layer.kv_heads)[:, None]
        last = np.full((layer.kv_heads, layer.tokens), -1, np.int64)
        last[:, layer.prompt :] = FOREVER
        last[kv, order] = FOREVER
        if self.generated == "slide" and layer.prompt > self.budget:
            newest = np.arange(layer.prompt - self.window, layer.tokens)
            last[:, newest] = newest + self.window - 1
        elif self.generated != "keep":
            # Row n of (order, then the generated ones) is the (n+1)-th eviction; the first one happens when row C arrives.
            rank = np.arange(order.shape[1])
            last[kv, order] = layer.prompt + self.budget - order.shape[1] + rank - 1
            later = np.arange(layer.prompt, layer.tokens)
            last[:, layer.prompt :] = later + self.budget - 1
        return last

    def attend(self, layer, rows):
        last = self.last_reader(layer)

        def choose(block, scores):
            keep = block.causal & (last[:, None, : len(block.column)] >= block.position)
            return scores, np.repeat(keep, layer.group, axis=0)

        return attend(layer, choose, rows)
