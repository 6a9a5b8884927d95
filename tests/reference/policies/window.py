"""Window only: row j enters at position t where t - B < j <= t. The budget B counts the new token."""

import dataclasses

import numpy as np

from attention import attend
from policies.base import Policy


@dataclasses.dataclass
class Window(Policy):
    budget: int = 1024  # tokens

    def attend(self, layer, rows):
        def columns(begin, end):
            return np.arange(max(0, layer.prompt + begin - self.budget + 1), layer.prompt + end)

        def choose(block, scores):
            return scores, block.causal & (block.column > block.position - self.budget)

        return attend(layer, choose, rows, columns)
