"""A batch whose rows come and go, on its device: what a step needs of each row, one slot a row, the first ones taken.

Nothing here waits for the device.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import Cache, LogitsProcessorList, RepetitionPenaltyLogitsProcessor

from workers.engines.vlm.batch import KINDS, ROW_DIMENSION, attention_kinds, upload, widen
from workers.engines.vlm.collate import Tensors
from workers.engines.vlm.compat import attention_of, takes_masks_by_kind
from workers.engines.vlm.decode import choose, find_cache, grow
from workers.engines.vlm.graphs import Graphs
from workers.engines.vlm.model import LoadedModel
from workers.engines.vlm.slot_cache import SlotCache

LENGTH_STEP = 256  # lengths of slots are multiples of this
GROWS = {"position_ids"}  # by one a step; the other arguments of a step stay as they are


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstPass:
    """What the first pass over some prompts, padded at their starts to one length, leaves for the steps after it."""

    cache: Cache
    logits: torch.Tensor  # [pages, vocabulary], of the first token of the answer
    ids: torch.Tensor  # [pages, tokens]
    mask: torch.Tensor  # the same
    step: dict[str, Any]  # the arguments of the first step
    processors: LogitsProcessorList


def read_prompts(model: Any, inputs: Tensors) -> FirstPass:
    """The first pass over collated pages."""
    found: list[FirstPass] = []

    def first_pass(
        model: Any,
        input_ids: torch.Tensor,
        logits_processor: LogitsProcessorList,
        stopping_criteria: Any,  # noqa: ARG001 - passed by `generate`; ends are decided on the host
        generation_config: Any,  # noqa: ARG001 - the same
        **inputs: Any,
    ) -> torch.Tensor:
        first = model.prepare_inputs_for_generation(input_ids, is_first_iteration=True, **inputs)
        output = model(**first, return_dict=True)
        cache, mask = find_cache(inputs, output), inputs.get("attention_mask")
        grow(inputs, model.config)
        longer = torch.cat([input_ids, input_ids[:, -1:]], 1)
        step = model.prepare_inputs_for_generation(longer, next_sequence_length=1, **inputs)
        logits = output.logits[:, -1].to(torch.float32, copy=True)
        if mask is None:
            mask = torch.ones_like(input_ids)
        found.append(
            FirstPass(cache=cache, logits=logits, ids=input_ids, mask=mask, step=step, processors=logits_processor)
        )
        return input_ids

    model.generate(**inputs, custom_generate=first_pass, max_new_tokens=2)
    return found[0]


def why_no_slots(model: Any, first: FirstPass) -> str:
    """What keeps a page from joining others that are half done; empty where nothing does."""
    text = model.config.get_text_config(decoder=True)
    kinds = attention_kinds(text)
    if attention_of(text) not in ("sdpa", "eager"):
        return f"{attention_of(text)} takes no masks of rows that begin at different times"
    if not kinds <= KINDS or (len(kinds) > 1 and not takes_masks_by_kind(model)):
        return f"no masks are known for its kinds of attention, {', '.join(sorted(kinds))}"
    if any(not isinstance(getattr(layer, "keys", None), torch.Tensor) for layer in first.cache.layers):
        return "its layers keep something else than keys and values"
    if len({layer.keys.device for layer in first.cache.layers}) > 1:
        return "its layers lie on several devices"
    for processor in first.processors:
        if not isinstance(processor, RepetitionPenaltyLogitsProcessor):
            return f"its generation config asks for a {type(processor).__name__}"
    for key, value in first.step.items():
        if isinstance(value, torch.Tensor) and key not in ROW_DIMENSION and key != "input_ids":
            return f"its steps are given {key}"
    return ""


class Slots:
    """Room for rows. `at` is where the newest token of each lies in its slot, counted from 0; all are [slots, …]."""

    def __init__(self, loaded: LoadedModel, first: FirstPass, graphs: Graphs | None) -> None:
        model, self._graphs = loaded.model, graphs
        self.model, self.device, self.warpers = model, loaded.device, loaded.warpers
        self.processors = first.processors
        self.cache = SlotCache(first.cache)
        text = model.config.get_text_config(decoder=True)
        self._text, self._kinds = text, attention_kinds(text)
        self._window = getattr(text, "sliding_window", None) or 0
        self.num_slots = self.length = 0
        self._constants = {
            key: value
            for key, value in first.step.items()
            if not isinstance(value, torch.Tensor | Cache) and key != "attention_mask"
        }
        self._cache_key = next(key for key, value in first.step.items() if isinstance(value, Cache))
        self.rows: Tensors = {
            key: value.narrow(ROW_DIMENSION[key], 0, 0)
            for key, value in first.step.items()
            if key in ROW_DIMENSION and isinstance(value, torch.Tensor) and key != "attention_mask"
        }
        ids = first.ids
        self.rows |= {
            "at": ids.new_zeros(0),
            "last": ids.new_zeros((0, 1)),
            "temperature": torch.zeros(0, device=ids.device),
            "ids": ids.new_zeros((0, 0)),
            "allowed": torch.zeros((0, 0), dtype=torch.bool, device=ids.device),
        }

    def fit(self, slots: int, length: int) -> None:
        """Have room for so many rows, each with a prompt and an answer of `length` tokens together."""
        slots, length = max(slots, self.num_slots), max(-(-length // LENGTH_STEP) * LENGTH_STEP, self.length)
        if (slots, length) == (self.num_slots, self.length):
            return
        for key, old in self.rows.items():
            shape = list(old.shape)
            shape[_row_dimension(key)] = slots
            if key in ("ids", "allowed"):
                shape[1] = length
            new = old.new_zeros(shape)
            new[tuple(slice(side) for side in old.shape)] = old
            self.rows[key] = new
        self.cache.fit(slots, length, self.rows["at"])
        if self._graphs is not None:
            self._graphs.forget()
        self.num_slots, self.length = slots, length

    def join(self, slot: int, first: FirstPass, row: int, prompt_tokens: int) -> None:
        """Take a row of a first pass into a free slot."""
        whole = first.ids.shape[1]
        pad = whole - prompt_tokens
        self.cache.put(slot, first.cache, row, pad, whole)
        mine = self.rows
        mine["ids"][slot] = first.ids[row, pad]  # to the end: what looks at the text sees a token of it twice
        mine["ids"][slot, :prompt_tokens] = first.ids[row, pad:]
        mine["allowed"][slot] = False
        mine["allowed"][slot, :prompt_tokens] = first.mask[row, pad:].bool()
        mine["at"][slot] = prompt_tokens - 1
        for key in mine.keys() & first.step.keys():
            dim = _row_dimension(key)
            mine[key].select(dim, slot).copy_(first.step[key].select(dim, row))

    def move(self, source: int, target: int, length: int) -> None:
        """Let the row in `source`, which has `length` tokens, have the slot `target`."""
        self.cache.move(source, target, length)
        for key, value in self.rows.items():
            dim = _row_dimension(key)
            value.select(dim, target).copy_(value.select(dim, source))

    def heat(self, start: int, temperatures: Sequence[float]) -> None:
        """Say at which temperatures the rows from `start` on are drawn."""
        self.rows["temperature"][start : start + len(temperatures)] = upload(temperatures, self.device)

    def step(self, rows: int, length: int, *, draws: bool) -> torch.Tensor:
        """One token more for each of the first `rows`, [rows]; the longest of them has `length` tokens with it."""
        logits = self._graphs.run(self, rows, length) if self._graphs is not None else self.forward(rows, length)
        return self.choose(slice(0, rows), length, logits[:rows], draws=draws)

    def choose(self, rows: slice, length: int, logits: torch.Tensor, *, draws: bool) -> torch.Tensor:
        """The tokens that `logits` [rows, vocabulary] speak for; they are what the next step reads."""
        ids = self.rows["ids"][rows, :length]
        warm = self.rows["temperature"][rows] if draws else None
        tokens = choose(self.processors(ids, logits), ids, warm, self.warpers)
        self.rows["last"][rows] = tokens[:, None]
        return tokens

    @property
    def advanced(self) -> list[torch.Tensor]:
        """What `forward` moves on."""
        return [self.rows[key] for key in self.rows.keys() & {"at", *GROWS}]

    def forward(self, rows: int, length: int) -> torch.Tensor:
        """The pass of one token of each row; everything it reads and writes stays where it is.

        A slot that is not taken does what the others do; it must not write behind the end.
        """
        at = self.rows["at"][:rows].add_(1).clamp_(max=length - 1)
        last = self.rows["last"][:rows]
        self.rows["ids"][:rows].scatter_(1, at[:, None], last)
        self.rows["allowed"][:rows].scatter_(1, at[:, None], True)
        self.cache.show(rows, length)
        step = {key: self.rows[key].narrow(_row_dimension(key), 0, rows) for key in self.rows.keys() & ROW_DIMENSION}
        step |= {"input_ids": last, "attention_mask": self._masks(rows, length), self._cache_key: self.cache}
        logits = self.model(**self._constants, **step, return_dict=True).logits[:, -1].float()
        for key in self.rows.keys() & GROWS:
            step[key] += 1
        return logits

    def _masks(self, rows: int, length: int) -> Any:
        allowed = self.rows["allowed"][:rows, :length]
        masks = {}
        for kind in self._kinds:
            seen = allowed
            if kind == "sliding_attention":
                places = torch.arange(length, device=self.device)
                seen = allowed & (places > self.rows["at"][:rows, None] - self._window)
            masks[kind] = widen(seen, self._text, self.model.dtype)
        return masks if len(masks) > 1 else next(iter(masks.values()))


def _row_dimension(key: str) -> int:
    return ROW_DIMENSION.get(key, 0)
