"""The decode loop: `generate(custom_generate=DecodeLoop(...))` prepares everything, then runs this instead of its own.

The loop of transformers reads the device at every token, to see whether all rows have ended. This one never does.
Every few tokens it asks for one copy of the new tokens to the host, which arrives while the next tokens are under way;
end of text, deadlines, cancelled pages, partial text and loops are all decided from that copy, for each row alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import LogitsProcessorList

from workers.engines.vlm.batch import DeviceBatch
from workers.engines.vlm.rows import Rows

CHECK_EVERY = 8  # tokens between two copies to the host
COLDEST = 1e-2  # temperatures below this are taken as it


class DecodeLoop:
    """One batch's generation. `temperatures` has one value a row, 0 takes the likeliest token.

    `warpers` are the checkpoint's own top-k and top-p, applied where a row has a temperature.
    """

    def __init__(
        self,
        rows: Rows,
        temperatures: Sequence[float],
        *,
        check_every: int = CHECK_EVERY,
        warpers: LogitsProcessorList | None = None,
    ) -> None:
        self.rows = rows
        self.check_every = check_every
        self._warpers = warpers or LogitsProcessorList()
        self._temperatures = list(temperatures)
        self.steps = 0  # forward passes that were run
        self.checks = 0

    def __call__(
        self,
        model: Any,
        input_ids: torch.Tensor,
        logits_processor: LogitsProcessorList,
        stopping_criteria: Any,  # noqa: ARG002 - passed by `generate`; ends are decided on the host
        generation_config: Any,
        **inputs: Any,
    ) -> torch.Tensor:
        """Called by `generate`; `input_ids` is [pages, prompt tokens]. The result is in `rows`."""
        output = model._prefill(input_ids, generation_config, inputs)
        batch = DeviceBatch(self.rows, input_ids, self._temperatures, generation_config)
        batch.mask_ahead(model, inputs)
        forward = _step_function(model, generation_config, inputs)
        is_encoder_decoder = model.config.is_encoder_decoder
        with model._optimize_model_for_decode():
            while True:
                inputs = model._update_model_kwargs_for_generation(output, inputs, is_encoder_decoder)
                logits = output.logits[:, -1].to(torch.float32, copy=True)  # [pages, vocabulary]
                del output
                batch.append(self._choose(batch, logits_processor(batch.ids, logits)))
                if batch.length == batch.longest or not self._check(batch, inputs, model):
                    break
                step = model.prepare_inputs_for_generation(batch.ids, next_sequence_length=1, **inputs)
                output = forward(**batch.with_masks(step), return_dict=True)
        self.steps = batch.length
        batch.finish()
        return batch.ids

    def _choose(self, batch: DeviceBatch, scores: torch.Tensor) -> torch.Tensor:
        """The next token of every row, [pages]."""
        likeliest = scores.argmax(-1)
        if not batch.is_sampling:
            return likeliest
        warm = scores / batch.temperatures.clamp(min=COLDEST)[:, None]
        chances = self._warpers(batch.ids, warm).softmax(-1)
        # Dividing by exponential noise and taking the largest draws from `chances` (Gumbel 1954) without the check
        # on the host that torch.multinomial makes.
        drawn = (chances / torch.empty_like(chances).exponential_()).argmax(-1)
        return torch.where(batch.temperatures > 0, drawn, likeliest)

    def _check(self, batch: DeviceBatch, inputs: dict[str, Any], model: Any) -> bool:
        """Ask for a copy when it is time and take in one that has come. False when every row is over."""
        if batch.copy is None and batch.length - batch.seen >= self.check_every:
            batch.request_copy()
        if batch.copy and batch.copy.has_arrived(wait=batch.length - batch.copy.length >= self.check_every):
            self.checks += 1
            batch.take_copy()
            running = len(self.rows.running)
            if running == 0:
                return False
            if running * 2 <= len(batch.slots):
                batch.drop_finished(model, inputs)
        return True


def _step_function(model: Any, config: Any, inputs: dict[str, Any]) -> Callable[..., Any]:
    """The forward pass of one token: compiled into CUDA graphs where model, cache and device allow it."""
    if model._valid_auto_compile_criteria(inputs, config):
        compiled: Callable[..., Any] = model.get_compiled_call(config.compile_config)
        return compiled
    forward: Callable[..., Any] = model.__call__
    return forward
