"""A running batch on its device: tokens, masks and caches, one slot a row that is still in it.

Nothing here waits for the device but `DeviceBatch.finish`.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Any

import torch
from transformers import Cache

from workers.engines.vlm.compat import PREFILL_ONLY, attention_of, keep_rows, takes_masks_by_kind
from workers.engines.vlm.rows import Row, Watch

# Arguments of a decode step that have one row a page, and the dimension in which.
ROW_DIMENSION = {
    "attention_mask": 0,
    "cross_attention_mask": 0,
    "decoder_attention_mask": 0,
    "image_embeds_position_mask": 0,
    "mm_token_type_ids": 0,
    "token_type_ids": 0,
    "decoder_position_ids": -2,  # [pages, tokens], or [axes, pages, tokens] for rotary positions of images
    "position_ids": -2,
}
KINDS = {"full_attention", "sliding_attention"}  # of attention whose masks can be made ahead
READ_ONCE = {*PREFILL_ONLY, "flattened_patches", "image_grid_thw"}  # by the first pass


class HostCopy:
    """Tokens on their way to the host: `taken` is how many steps there had been when the copy was asked for."""

    def __init__(self, tokens: torch.Tensor, taken: int) -> None:
        self.taken = taken
        self._event = None
        self._tokens = tokens
        if tokens.is_cuda:
            self._tokens = torch.empty(tokens.shape, dtype=tokens.dtype, pin_memory=True)
            self._tokens.copy_(tokens, non_blocking=True)
            self._event = torch.cuda.Event()
            self._event.record()

    def has_arrived(self, wait: bool) -> bool:
        """`wait` blocks for it: the device has as many steps queued by then, so it does not run dry."""
        if self._event is None or self._event.query():
            return True
        if wait:
            self._event.synchronize()
        return wait

    def read(self) -> list[list[int]]:
        rows: list[list[int]] = self._tokens.tolist()
        return rows


def upload(values: Sequence[Any], device: torch.device) -> torch.Tensor:
    """A tensor of `values` on the device, without waiting for it."""
    tensor = torch.tensor(values)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


class DeviceBatch:
    """What lives on the device, one slot a row that is still in the batch."""

    def __init__(
        self,
        watch: Watch,
        rows: Sequence[Row],
        prompt: torch.Tensor,
        temperatures: Sequence[float],
        config: Any,
        cache: Cache,
    ) -> None:
        self.watch = watch
        self.rows = list(rows)  # one a slot
        self.cache = cache
        self.device = prompt.device
        self.prompt_length = prompt.shape[1]
        self.longest = config.max_length - self.prompt_length
        self.length = 0  # tokens generated
        self.seen = 0  # of them, known to the host
        self.copy: HostCopy | None = None
        self._eos = self._upload(sorted(watch.eos_ids)) if watch.eos_ids else None
        self._pad = config.pad_token_id
        self._buffer = prompt.new_full((prompt.shape[0], config.max_length), self._pad)  # [pages, prompt and answer]
        self._buffer[:, : self.prompt_length] = prompt
        self._limits = self._upload([row.limit for row in rows])
        self._alive = self._limits > 0
        self._masks: dict[str, torch.Tensor | None] = {}  # [pages, heads, queries, tokens]
        self._growing_mask = "attention_mask"
        self._kinds: Set[str] = {"full_attention"}  # of attention, each with a mask of its own length
        self._window: int | None = None
        self.temperatures = self._upload(temperatures)
        self.is_sampling = max(temperatures) > 0

    def _upload(self, values: Sequence[float]) -> torch.Tensor:
        return upload(values, self.device)

    @property
    def ids(self) -> torch.Tensor:
        """Prompt and answer so far, [pages, tokens]."""
        return self._buffer[:, : self.prompt_length + self.length]

    def append(self, tokens: torch.Tensor) -> None:
        tokens = torch.where(self._alive, tokens, self._pad)
        self._buffer[:, self.prompt_length + self.length] = tokens
        self.length += 1
        if self._eos is not None:
            self._alive = self._alive & (tokens[:, None] != self._eos).all(-1)
        self._alive = self._alive & (self._limits > self.length)

    def request_copy(self) -> None:
        self.copy = HostCopy(self.ids[:, self.prompt_length + self.seen :], self.length)

    def take_copy(self) -> None:
        """Hand the tokens that have come to the rows; silence on the device those the host has stopped."""
        assert self.copy is not None
        tokens, self.seen, self.copy = self.copy.read(), self.copy.taken, None
        if stopped := self.watch.add(self.rows, tokens):
            self._alive = self._alive & self._upload([row not in stopped for row in self.rows])

    def finish(self) -> None:
        """Take in everything that is left; the one place that waits for the device."""
        if self.copy:
            self.copy.has_arrived(wait=True)
            self.take_copy()
        if self.seen < self.length:
            self.request_copy()
            self.finish()

    def mask_ahead(self, model: Any, inputs: dict[str, Any]) -> None:
        """Make the attention masks of all steps to come, which the library would read on the host at each of them."""
        text = model.config.get_text_config(decoder=True)
        mask: Any = inputs.get("attention_mask")
        is_flat = mask is not None and mask.ndim == 2  # [pages, tokens]
        if attention_of(text) not in ("sdpa", "eager"):
            return
        if model.config.is_encoder_decoder:
            inputs.pop("decoder_attention_mask", None)  # decoder prompts of one batch have one length: all ones
            self._growing_mask = "decoder_attention_mask"
            self._masks[self._growing_mask] = widen(torch.ones_like(self._buffer), text, model.dtype)
            if is_flat:
                self._masks["attention_mask"] = None if bool(mask.all()) else widen(mask, text, model.dtype)
        elif is_flat and _masks_can_be_made(model, text):
            self._kinds, self._window = attention_kinds(text), getattr(text, "sliding_window", None)
            ahead = mask.new_ones((mask.shape[0], self._buffer.shape[1] - mask.shape[1]))
            self._masks[self._growing_mask] = widen(torch.cat([mask, ahead], 1), text, model.dtype)

    def with_masks(self, step: dict[str, Any]) -> dict[str, Any]:
        """The arguments of one step with the masks that were made ahead, cut to what there is of prompt and answer."""
        step.update(self._masks)
        if (mask := self._masks.get(self._growing_mask)) is not None:
            whole = mask[..., : self.prompt_length + self.length]
            kinds = {"full_attention": whole, "sliding_attention": whole[..., -(self._window or 0) :]}
            used = {kind: kinds[kind] for kind in self._kinds}
            step[self._growing_mask] = used if len(used) > 1 else next(iter(used.values()))
        return step

    def drop_finished(self, model: Any, inputs: dict[str, Any]) -> None:
        """Take rows that are over out of the batch; `inputs` are changed in place."""
        if not _has_known_rows(inputs, len(self.rows)):
            return
        kept = [slot for slot, row in enumerate(self.rows) if row.stop is None]
        index = self._upload(kept)
        self.cache.reorder_cache(index)  # selects fewer rows; unlike batch_select_indices every kind of layer has it
        for key, value in inputs.items():
            inputs[key] = _select(key, value, index)
        keep_rows(model, index)
        self._buffer, self._alive = self._buffer.index_select(0, index), self._alive.index_select(0, index)
        self._limits, self.temperatures = self._limits[index], self.temperatures[index]
        self._masks = {k: v if v is None else v.index_select(0, index) for k, v in self._masks.items()}
        self.rows = [self.rows[slot] for slot in kept]


def attention_kinds(text: Any) -> Set[str]:
    """The kinds of attention among the layers of a text model: full, sliding over a window of the text, or others."""
    default = "sliding_attention" if getattr(text, "sliding_window", None) else "full_attention"
    return set(getattr(text, "layer_types", None) or [default])


def _masks_can_be_made(model: Any, text: Any) -> bool:
    """A model that is compiled takes a mask for each kind of attention; others may know one mask only."""
    kinds = attention_kinds(text)
    return kinds <= KINDS and (len(kinds) == 1 or takes_masks_by_kind(model))


def widen(mask: torch.Tensor, text: Any, dtype: torch.dtype) -> torch.Tensor:
    """A mask [pages, tokens] as attention takes it, [pages, heads, queries, tokens]: sdpa obeys it, eager adds it."""
    wide = mask.bool()[:, None, None]
    if attention_of(text) == "sdpa":
        return wide
    return torch.zeros_like(wide, dtype=dtype).masked_fill_(~wide, torch.finfo(dtype).min)


def _has_known_rows(inputs: dict[str, Any], num_rows: int) -> bool:
    """Whether every argument that has one row a page is known to be one; a batch with others stays whole."""
    for key, value in inputs.items():
        if key in ROW_DIMENSION or key in READ_ONCE or not isinstance(value, torch.Tensor):
            continue
        if value.ndim and value.shape[0] == num_rows:
            return False
    return True


def _select(key: str, value: Any, index: torch.Tensor) -> Any:
    """The rows `index` of one argument; what is not kept by rows is returned as it is."""
    if key in ROW_DIMENSION and isinstance(value, torch.Tensor):
        return value.index_select(ROW_DIMENSION[key], index)
    if key == "encoder_outputs":
        kept = {name: part.index_select(0, index) for name, part in value.items() if isinstance(part, torch.Tensor)}
        return type(value)(**kept)
    return value
