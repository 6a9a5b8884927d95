"""Quest: pages of K, and an upper bound of what a page can score.

Page p holds positions p*S .. p*S + S - 1. Per KV head and channel c, lo[p, c] and hi[p, c] are the least and largest K of
its rows, after rotation. A query head's bound on a page:
    bound[p] = sum over c of max(q_c * lo[p, c], q_c * hi[p, c])  >=  q.k of every row of the page.
At position t the page of t is read in any case, and with it the floor(B / S) - 1 earlier pages with the largest bound.
The first `dense_layers` layers read everything.
Where the publication is silent: the page of the new token counts towards the budget, so a step reads at most B rows;
each query head chooses for itself, also under grouped-query attention; equal bounds take the older page.
"""

import dataclasses

import numpy as np

from attention import attend, top
from policies.base import Policy


@dataclasses.dataclass
class Quest(Policy):
    budget: int = 1024  # tokens
    page: int = 16
    dense_layers: int = 2

    def bounds(self, query, low, high):
        """(H, n, D) against (KV heads, pages, D) -> (H, n, pages). max(q lo, q hi) is q hi for q > 0 and q lo else."""
        heads, count, dim = query.shape
        rows = query.reshape(low.shape[0], -1, dim)
        bound = np.maximum(rows, 0) @ high.swapaxes(1, 2) + np.minimum(rows, 0) @ low.swapaxes(1, 2)
        return bound.reshape(heads, count, -1)

    def attend(self, layer, rows):
        whole = layer.tokens // self.page  # the last page, if partial, is only ever read as the page of the new token
        paged = layer.keys[:, : whole * self.page].reshape(layer.kv_heads, whole, self.page, -1)
        low, high = paged.min(axis=2), paged.max(axis=2)

        def choose(block, scores):
            if layer.index < self.dense_layers:
                return scores, block.causal
            page = np.arange(-(-len(block.column) // self.page))
            own = block.position // self.page
            bound = np.full((layer.heads, len(own), len(page)), -np.inf, np.float32)
            known = min(whole, len(page))
            query = layer.query[:, block.begin : block.end]
            bound[:, :, :known] = self.bounds(query, low[:, :known], high[:, :known])
            chosen = top(bound, page < own, np.full(len(own), self.budget // self.page - 1)) | (page == own)
            keep = np.repeat(chosen, self.page, axis=-1)[:, :, : len(block.column)]
            return scores, keep & block.causal

        return attend(layer, choose, rows)
