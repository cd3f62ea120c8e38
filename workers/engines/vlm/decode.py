"""The decode loop: `generate(custom_generate=DecodeLoop(...))` prepares everything, then runs this instead of its own.

The loop of transformers reads the device at every token, to see whether all rows have ended. This one never does.
Every few tokens it asks for one copy of the new tokens to the host, which arrives while the next tokens are under way;
end of text, deadlines, cancelled pages, partial text and loops are all decided from that copy, for each row alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import transformers
from transformers import Cache, LogitsProcessorList

from workers.engines import EngineError
from workers.engines.vlm.batch import DeviceBatch
from workers.engines.vlm.rows import Row, Watch

CHECK_EVERY = 8  # tokens between two copies to the host
COLDEST = 1e-2  # temperatures below this are taken as it
ANSWER_IS_ONE = {"paligemma"}  # the type of its prompt's tokens is 0; the others have the type of the prompt's last


class DecodeLoop:
    """One batch's generation. `temperatures` has one value a row, 0 takes the likeliest token.

    `warpers` are the checkpoint's own top-k and top-p, applied where a row has a temperature.
    """

    def __init__(
        self,
        watch: Watch,
        rows: Sequence[Row],
        temperatures: Sequence[float],
        *,
        check_every: int = CHECK_EVERY,
        warpers: LogitsProcessorList | None = None,
    ) -> None:
        self.watch, self.rows = watch, rows
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
        first = model.prepare_inputs_for_generation(input_ids, is_first_iteration=True, **inputs)
        output = model(**first, return_dict=True)
        cache = find_cache(inputs, output)
        batch = DeviceBatch(self.watch, self.rows, input_ids, self._temperatures, generation_config, cache)
        batch.mask_ahead(model, inputs)
        with experts_for_decoding(model):
            while True:
                grow(inputs, model.config)
                logits = output.logits[:, -1].to(torch.float32, copy=True)  # [pages, vocabulary]
                del output
                scores = logits_processor(batch.ids, logits)
                warm = batch.temperatures if batch.is_sampling else None
                batch.append(choose(scores, batch.ids, warm, self._warpers))
                if batch.length == batch.longest or not self._check(batch, inputs, model):
                    break
                step = model.prepare_inputs_for_generation(batch.ids, next_sequence_length=1, **inputs)
                output = model(**batch.with_masks(step), return_dict=True)
        self.steps = batch.length
        batch.finish()
        return batch.ids

    def _check(self, batch: DeviceBatch, inputs: dict[str, Any], model: Any) -> bool:
        """Ask for a copy when it is time and take in one that has come. False when every row is over."""
        if batch.copy is None and batch.length - batch.seen >= self.check_every:
            batch.request_copy()
        if batch.copy and batch.copy.has_arrived(wait=batch.length - batch.copy.taken >= self.check_every):
            self.checks += 1
            batch.take_copy()
            running = sum(row.stop is None for row in batch.rows)
            if running == 0:
                return False
            if running * 2 <= len(batch.rows):
                batch.drop_finished(model, inputs)
        return True


def choose(
    scores: torch.Tensor, ids: torch.Tensor, temperatures: torch.Tensor | None, warpers: LogitsProcessorList
) -> torch.Tensor:
    """The next token of every row, [pages]; the likeliest where the row's temperature is 0, or all where it is None."""
    likeliest = scores.argmax(-1)
    if temperatures is None:
        return likeliest
    warm = scores / temperatures.clamp(min=COLDEST)[:, None]
    chances = warpers(ids, warm).softmax(-1)
    # Dividing by exponential noise and taking the largest draws from `chances` (Gumbel 1954) without the check
    # on the host that torch.multinomial makes.
    drawn = (chances / torch.empty_like(chances).exponential_()).argmax(-1)
    return torch.where(temperatures > 0, drawn, likeliest)


def find_cache(inputs: dict[str, Any], output: dict[str, Any]) -> Cache:
    """The keys and values that the first pass has filled; its name among the arguments differs between versions.

    Raises EngineError where there are none: each step would read the whole page again, or one token without the page.
    """
    given, returned = (
        next((value for value in values if isinstance(value, Cache)), None)
        for values in (inputs.values(), output.values())
    )
    if given is None:
        raise EngineError(
            f"transformers {transformers.__version__} gave the model no cache of keys and values, without which this "
            f"engine does not generate; what it gave: {', '.join(sorted(inputs))}"
        )
    if returned is not None and returned is not given:
        raise EngineError("the model does not use the cache of keys and values that it is given")
    return given


def grow(inputs: dict[str, Any], config: Any) -> None:
    """Make those of a model's arguments that are as long as prompt and answer one token longer, in place."""
    prefix = "decoder_" if config.is_encoder_decoder else ""
    news: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
        f"{prefix}attention_mask": torch.ones_like,
        f"{prefix}position_ids": lambda last: last + 1,
        "mm_token_type_ids": torch.zeros_like,
        "token_type_ids": torch.ones_like if config.model_type in ANSWER_IS_ONE else torch.clone,
    }
    for key, new in news.items():
        if (value := inputs.get(key)) is not None:
            inputs[key] = torch.cat([value, new(value[..., -1:])], -1)


@contextmanager
def experts_for_decoding(model: Any) -> Iterator[None]:
    """A mixture of experts runs them one by one for a token; grouped, as the prompt wants them, they are slower."""
    before = model.get_experts_implementation()
    if model.device.type == "cpu" or "grouped_mm" not in before.values():
        yield
        return
    model.set_experts_implementation({k: "batched_mm" if v == "grouped_mm" else v for k, v in before.items()})
    try:
        yield
    finally:
        model.set_experts_implementation(before)
