"""H2O, the heavy-hitter oracle: half of the budget recent, half heavy, per KV head.

Mass of a row: the sum of the attention weights it was given, over all queries since it exists (the prompt's by the full
causal softmax) and over the query heads of its KV head.
A step at position t, budget B, recent half R = floor(B / 2):
    1. while B rows are cached: evict the row with the least mass among those older than t - R;
    2. insert the new row with mass 0;
    3. attend over the cache; add the weights to the masses.
After the prompt, step 1 leaves the newest R and, of the others, the B - 1 - R heaviest: the same as evicting one by one.
Where the publication is silent: equal masses evict the older row; the new token counts towards the budget (published
code attends over budget + 1 rows and evicts afterwards: the same sequence with the budget read as one less); under
grouped-query attention the group decides together.
"""

import dataclasses

import numpy as np

from attention import prompt_mass, softmax
from policies.base import Policy


class Cache:
    """Up to `budget` rows per KV head, in slots of no order."""

    def __init__(self, layer, budget):
        self.budget = min(budget, layer.tokens)
        self.recent = budget // 2
        shape = (layer.kv_heads, self.budget)
        self.position = np.zeros(shape, np.int64)
        self.mass = np.zeros(shape)
        self.keys = np.zeros((*shape, layer.keys.shape[-1]), np.float32)
        self.values = np.zeros_like(self.keys)
        self.used = 0
        self.kv = np.arange(layer.kv_heads)

    def fill(self, layer, mass):
        """The prompt, reduced to budget - 1 rows."""
        self.used = min(layer.prompt, self.budget - 1)
        newest = np.where(np.arange(layer.prompt) >= layer.prompt - self.recent, np.inf, mass)
        newest = np.broadcast_to(newest, mass.shape)
        for kv in self.kv:
            # Older rows lose where masses are equal: sort by (mass, position) and keep the end.
            kept = np.sort(np.lexsort((np.arange(layer.prompt), newest[kv]))[layer.prompt - self.used :])
            self.position[kv, : self.used] = kept
            self.mass[kv, : self.used] = mass[kv, kept]
            self.keys[kv, : self.used] = layer.keys[kv, kept]
            self.values[kv, : self.used] = layer.values[kv, kept]

    def slot(self, position):
        """A slot per KV head for the row at `position`, freed by eviction where none is left."""
        if self.used < self.budget:
            self.used += 1
            return np.full(len(self.kv), self.used - 1)
        mass = np.where(self.position < position - self.recent, self.mass, np.inf)
        least = mass == mass.min(axis=1, keepdims=True)
        return np.where(least, self.position, position).argmin(axis=1)

    def insert(self, position, keys, values):
        slot = self.slot(position)
        self.position[self.kv, slot] = position
        self.mass[self.kv, slot] = 0
        self.keys[self.kv, slot] = keys
        self.values[self.kv, slot] = values


@dataclasses.dataclass
class H2o(Policy):
    budget: int = 1024  # tokens

    def attend(self, layer, rows):
        cache = Cache(layer, self.budget)
        cache.fill(layer, prompt_mass(layer, 0))
        dim = layer.query.shape[-1]
        query = layer.query.reshape(layer.kv_heads, layer.group, -1, dim) / np.float32(np.sqrt(dim))
        out = np.empty_like(query)
        for step in range(query.shape[2]):
            position = layer.prompt + step
            cache.insert(position, layer.keys[:, position], layer.values[:, position])
            used = slice(0, cache.used)
            weights = softmax(query[:, :, step] @ cache.keys[:, used].swapaxes(1, 2))
            out[:, :, step] = weights @ cache.values[:, used]
            cache.mass[:, used] += weights.sum(axis=1)
            rows.add(cache.used * layer.heads, layer.heads)
            if rows.kept is not None:
                for kv in cache.kv:
                    heads = slice(kv * layer.group, (kv + 1) * layer.group)
                    rows.kept[heads, step, cache.position[kv, used]] = True
        return out.reshape(layer.query.shape)
