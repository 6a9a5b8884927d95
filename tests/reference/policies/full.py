"""Full attention: row j enters at position t where j <= t."""

import dataclasses

from attention import attend
from policies.base import Policy


@dataclasses.dataclass
class Full(Policy):
    def attend(self, layer, rows):
        return attend(layer, lambda block, scores: (scores, block.causal), rows)
