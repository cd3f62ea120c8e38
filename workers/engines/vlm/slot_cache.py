"""Keys and values of a running batch whose rows come and go: each row has its own length, none is ever moved in time.

A row's prompt lies at the start of its slot, however it was padded when it was read: keys carry their positions with
them. What lies behind a row's end is finite and masked.
"""

from __future__ import annotations

import torch
from transformers import Cache

from workers.engines.vlm.compat import FixedLayer


class SlotLayer(FixedLayer):  # type: ignore[misc]  # mypy does not follow transformers
    """One layer: `keys` and `values` are [slots, heads, length, head]. A step sees the part that is `shown`."""

    def __init__(self, keys: torch.Tensor, values: torch.Tensor, at: torch.Tensor) -> None:
        super().__init__(max_cache_len=0)
        self.keys, self.values, self.at = keys.new_zeros(0), values.new_zeros(0), at
        self.is_initialized = True
        self.shown = 0, 0
        self._like = keys, values

    def fit(self, slots: int, length: int, at: torch.Tensor) -> None:
        """Have room for so many rows of this length, and keep what there is."""
        self.keys, self.values = (
            _grown(old, like, slots, length) for old, like in zip((self.keys, self.values), self._like, strict=True)
        )
        self.at, self.max_cache_len = at, length
        self._like = self.keys[:1, :, :1], self.values[:1, :, :1]

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: object, **__: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write one token of each row where that row has got to."""
        rows, length = self.shown
        keys, values = self.keys[:rows, :, :length], self.values[:rows, :, :length]
        at = self.at[:rows, None, None, None]
        keys.scatter_(2, at.expand_as(key_states), key_states)
        values.scatter_(2, at.expand_as(value_states), value_states)
        return keys, values

    def get_seq_length(self) -> int:
        return self.shown[1] - 1

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:  # noqa: ARG002 - the masks are made by `Slots`
        return self.shown[1], 0


def _grown(old: torch.Tensor, like: torch.Tensor, slots: int, length: int) -> torch.Tensor:
    new = like.new_zeros((slots, like.shape[1], length, like.shape[3]))
    if old.ndim == new.ndim:
        part = old[:slots, :, :length]  # where there was no memory for a layer after it, this one is larger already
        new[: part.shape[0], :, : part.shape[2]] = part
    return new


class SlotCache(Cache):  # type: ignore[misc]  # as above
    """The layers of one model, made for keys and values such as `like` has."""

    def __init__(self, like: Cache) -> None:
        self.at = torch.zeros(0)
        super().__init__(layers=[SlotLayer(layer.keys, layer.values, self.at) for layer in like.layers])

    def fit(self, slots: int, length: int, at: torch.Tensor) -> None:
        """`at` is where each row writes its next token, [slots]; it is read at every step."""
        for layer in self.layers:
            layer.fit(slots, length, at)

    @property
    def token_bytes(self) -> int:
        """What one token of one row takes."""
        parts = (part for layer in self.layers for part in (layer.keys, layer.values))
        return sum(part.shape[1] * part.shape[3] * part.element_size() for part in parts)

    def show(self, rows: int, length: int) -> None:
        """What the next step sees: the first `rows` slots, as far as the longest of them has got."""
        for layer in self.layers:
            layer.shown = rows, length

    def put(self, slot: int, source: Cache, row: int, pad: int, prompt_tokens: int) -> None:
        """Take over a row that was read among others, padded at its start to `prompt_tokens`.

        A layer that looks at a window of the text may have kept the end of the prompt only.
        """
        for mine, read in zip(self.layers, source.layers, strict=True):
            kept = read.keys.shape[2]
            first = max(prompt_tokens - kept, pad)
            for target, new in ((mine.keys, read.keys), (mine.values, read.values)):
                target[slot, :, first - pad : prompt_tokens - pad] = new[row, :, first - prompt_tokens :]

    def move(self, source: int, target: int, length: int) -> None:
        for layer in self.layers:
            for tensor in (layer.keys, layer.values):
                tensor[target, :, :length] = tensor[source, :, :length]
