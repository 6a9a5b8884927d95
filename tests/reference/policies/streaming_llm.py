"""StreamingLLM: S attention sinks and a window.

Rows at position t: j < S, or t - (B - S) < j <= t, so B rows in all with the new token among them.

Positions as published (`reindex`): the cache holds K before rotation, and a row is rotated by its place in the cache.
With c = min(t + 1, B) rows the new token stands at c - 1, a window row at distance d at c - 1 - d, and sink i at i.
Rotary logits depend on distances only. So the window rows' logits are those of original positions, and a sink's are
those of a query at c - 1 and a key at i.
Where the publication is silent: the budget counts sinks, window and the new token. With `reindex` off, every row keeps
the position it had in the text, and K is stored after rotation.
"""

import dataclasses

import numpy as np

from attention import attend, logits
from policies.base import Policy


@dataclasses.dataclass
class StreamingLlm(Policy):
    budget: int = 1024  # tokens
    sinks: int = 4
    reindex: bool = True

    def attend(self, layer, rows):
        window = self.budget - self.sinks
        sinks = np.arange(min(self.sinks, layer.tokens))
        if self.reindex:
            layer = dataclasses.replace(layer, keys=layer.rotate(layer.keys_raw, np.arange(layer.tokens)))

        def columns(begin, end):
            start = max(self.sinks, layer.prompt + begin - window + 1)
            return np.concatenate([sinks, np.arange(start, layer.prompt + end)])

        def choose(block, scores):
            if self.reindex:
                place = np.minimum(block.position[:, 0], self.budget - 1)
                query = layer.rotate(layer.query_raw[:, block.begin : block.end], place)
                scores[:, :, : len(sinks)] = logits(query, layer.keys[:, sinks])
            return scores, block.causal & ((block.column < self.sinks) | (block.column > block.position - window))

        return attend(layer, choose, rows, columns)
