"""HybridGen: the device holds the newest rows, the host scores the rest and sends up the best.

Step at position t, device segment W, ratio r: the device segment is j > t - W (the new token among them), the host segment
the h = t + 1 - W older rows. k = max(1, floor(r * h)). Per query head the k host rows with the largest host logits are
taken; one softmax over their logits and the device segment's; then the weighted sum of V.

Host logits by `lookahead`:
    off     exact
    choose  a predicted query's logits choose, exact logits enter the softmax
    use     a predicted query's logits choose and enter
The predicted query of layer i is rotate((W_q[i] + C[i]) n), n = the input of layer i - 1 by layer i's norm. Layer 0 has no
layer in front of it and is exact. C = 0 unless `rank` > 0: then C[i] is a ridge regression, on the calibration text, of what
W_q[i] n misses of layer i's own query (before rotation), cut to `rank` by the singular values of the fitted output:
    R = q - W_q n,  B = (n^T n + lambda I)^-1 n^T R,  lambda = ridge * mean diagonal of n^T n,
    V = the leading right singular vectors of n B,  C^T = B V V^T.
`correct`: per query head and step, a slope and a shift by least squares from predicted to exact logits over the device
segment, where both exist; they are applied to the host logits that enter.
`sinks`: the first rows of the text stay on the device beside the segment, exact, and are no part of the host segment.
Where the publication is silent: floor and at least one row; equal logits take the older row; the device segment counts the
new token (evict, then attend); choosing looks at logits before the correction.
"""

import dataclasses

import numpy as np

from attention import attend, logits, top
from policies.base import Policy


def slope_and_shift(predicted, exact, where):
    """Least squares of exact = slope * predicted + shift over `where` (n, w); arrays (H, n, w) -> two (H, n, 1)."""
    count = where.sum(axis=-1)[:, None]
    x, y = np.where(where, predicted, 0), np.where(where, exact, 0)
    mean_x, mean_y = (z.sum(axis=-1, keepdims=True) / count for z in (x, y))
    dx, dy = np.where(where, predicted - mean_x, 0), np.where(where, exact - mean_y, 0)
    spread = (dx * dx).sum(axis=-1, keepdims=True)
    slope = np.divide((dx * dy).sum(axis=-1, keepdims=True), spread, out=np.ones_like(spread), where=spread > 0)
    return slope, mean_y - slope * mean_x


@dataclasses.dataclass
class HybridGen(Policy):
    device: int = 1024  # tokens
    ratio: float = 0.05
    lookahead: str = "off"
    rank: int = 0
    ridge: float = 0.01
    correct: bool = False
    sinks: int = 0

    def calibrate(self, model, cached):
        if self.rank:
            self.added = [None] + [self.fit(model, cached, index) for index in range(1, len(cached))]

    def fit(self, model, cached, index):
        """C[index]^T, (hidden, H * D)"""
        def flat(query):
            return query.swapaxes(0, 1).reshape(query.shape[1], -1)

        own = flat(model.project(index, model.input_norm(index, cached[index].x), "q_proj"))
        normed = model.input_norm(index, cached[index - 1].x)
        missing = own - flat(model.project(index, normed, "q_proj"))
        normed64 = normed.astype(np.float64)
        gram = normed64.T @ normed64
        ridge = self.ridge * gram.diagonal().mean() * np.eye(len(gram))
        solved = np.linalg.solve(gram + ridge, normed64.T @ missing)
        # V of n B: the eigenvectors of (n B)^T n B, which are far cheaper; eigh sorts them upwards.
        lead = np.linalg.eigh(solved.T @ gram @ solved)[1][:, -self.rank :]
        return (solved @ lead @ lead.T).astype(np.float32)

    def predict(self, model, index, before, positions):
        if self.lookahead == "off":
            return None
        normed = model.input_norm(index, before)
        query = model.project(index, normed, "q_proj")
        if self.rank:
            query = query + model.split(normed @ self.added[index], model.heads)
        return model.rotate(query, positions)

    def attend(self, layer, rows):
        exact = self.lookahead == "off" or layer.predicted_query is None

        def choose(block, scores):
            resident = block.column > block.position - self.device
            host = ~resident & (block.column >= self.sinks)
            device = ~host & block.causal
            size = host.sum(axis=-1)
            count = np.where(size > 0, np.maximum(1, np.floor(self.ratio * size + 1e-9)), 0).astype(int)
            if exact:
                return scores, device | top(scores, host, count)
            guess = logits(layer.predicted_query[:, block.begin : block.end], layer.keys[:, : len(block.column)])
            chosen = top(guess, host, count)
            if self.lookahead == "use":
                if self.correct:
                    slope, shift = slope_and_shift(guess, scores, resident & block.causal)
                    guess = slope * guess + shift
                scores = np.where(host, guess, scores)
            return scores, device | chosen

        return attend(layer, choose, rows)
