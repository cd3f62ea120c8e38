"""A batch on its way to the device, and batches that have to run in parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch

from workers.engines import Control, Generation, Prepared
from workers.engines.vlm.collate import EXACT, Tensors
from workers.engines.vlm.model import LoadedModel


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Staged:
    """A collated batch on the device. `event` is recorded when its copy is done; None on a CPU."""

    batch: Sequence[Prepared]
    prompt_tokens: int  # of the decoder
    inputs: Tensors
    event: Any

    @classmethod
    def copy(cls, batch: Sequence[Prepared], inputs: Tensors, loaded: LoadedModel) -> Staged:
        """Copy `inputs` to the model's device and number type, beside whatever the device is doing."""
        prompt = inputs.get("decoder_input_ids" if loaded.model.config.is_encoder_decoder else "input_ids")
        inputs = {key: _as_weights(key, value, loaded.dtype) for key, value in inputs.items()}
        event = None
        if loaded.copy_stream is not None:
            with torch.cuda.stream(loaded.copy_stream):
                pinned = {key: value.pin_memory() for key, value in inputs.items()}
                inputs = {key: value.to(loaded.device, non_blocking=True) for key, value in pinned.items()}
                event = torch.cuda.Event()
                event.record()
        prompt_tokens = 1 if prompt is None else prompt.shape[1]
        return cls(batch=batch, prompt_tokens=prompt_tokens, inputs=inputs, event=event)

    def is_for(self, batch: Sequence[Prepared]) -> bool:
        """Whether this was made of these very pages."""
        return len(batch) == len(self.batch) and all(a is b for a, b in zip(batch, self.batch, strict=True))

    def ready_inputs(self) -> Tensors:
        """The tensors, safe to use on the stream of the calling thread."""
        if self.event is not None:
            stream = torch.cuda.current_stream()
            stream.wait_event(self.event)
            for value in self.inputs.values():
                value.record_stream(stream)
        return self.inputs


def _as_weights(key: str, value: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    return value.to(dtype) if value.is_floating_point() and key not in EXACT else value


def group_by_decoder_prompt(pages: Sequence[Tensors]) -> list[list[int]]:
    """Indexes of pages that can share a batch: a decoder beside an image encoder takes prompts of one length only.

    Its positions are counted from the first token, so that padding would shift them.
    """
    groups: dict[int, list[int]] = {}
    for index, page in enumerate(pages):
        length = page["decoder_input_ids"].shape[1] if "decoder_input_ids" in page else 0
        groups.setdefault(length, []).append(index)
    return list(groups.values())


class PartControl(Control):
    """The control of some rows of a batch, counted from 0 as if they were all."""

    def __init__(self, whole: Control, rows: Sequence[int]) -> None:
        on_text = whole.on_text
        super().__init__(
            deadline=whole.deadline,
            cancelled=whole.cancelled,
            on_text=None if on_text is None else lambda row, text: on_text(rows[row], text),
        )
        self._whole = whole
        self._rows = rows

    def should_stop(self, row: int) -> Literal["cancelled", "timeout"] | None:
        return self._whole.should_stop(self._rows[row])

    def done(self, row: int, generation: Generation) -> Generation:
        return self._whole.done(self._rows[row], generation)
