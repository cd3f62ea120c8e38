"""The `vllm` engine: a model that vLLM runs within the GPU worker, without a server beside it.

vLLM brings its own torch and transformers, so it has a container image of its own (`docker build --target vllm`).
**It has not been run on a real vLLM yet:** tests run it on a stand-in with vLLM 0.33's signatures.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from importlib import import_module
from itertools import count
from typing import Any, cast

from workers.engines import Control, EngineBroken, EngineError, Generation, PageRequest, Prepared, StopReason
from workers.engines.options import ModelOptions, json_object, option
from workers.engines.profiled_image import ProfiledImage
from workers.engines.profiles import profile_of
from workers.repetition import cut_loop

logger = logging.getLogger(__name__)

MIN_LETTER = 5.0  # px; a line of 6 pt print on A4 at 1024 px
LOOK_CHARS = 256  # a text is looked at for loops whenever it has grown by so much
TELL_S = 0.25  # time between two looks of people at a page's text
CLOSE_S = 10.0
STOP_REASONS: dict[str, StopReason] = {"stop": "stop", "length": "length", "repetition": "repetition"}


@dataclass(frozen=True, slots=True, kw_only=True)
class VllmOptions(ModelOptions):
    """Of a model that vLLM runs."""

    batch_pages: int = option(32, setting="gpu_batch_pages")
    arguments: str = option(
        "",
        setting="vllm_args",
        unit="JSON",
        help='More of vLLM\'s engine arguments, such as {"max_model_len": 16384}.',
        tells=True,
    )


class VllmEngine(ProfiledImage):
    """`generate` may be called in several threads; vLLM lets pages join and leave by itself."""

    name = "vllm"

    def __init__(self, options: VllmOptions) -> None:
        self.revision = f"{options.model}@{options.model_revision or 'main'}"
        self.profile = profile_of(options)
        self.image_spec = self.profile.spec(MIN_LETTER)
        self.max_batch = self.num_slots = max(1, options.batch_pages)
        self._options = options
        self._llm: Any = None
        self._numbers = count(1)

    def load(self) -> None:
        """Start vLLM; raises EngineError where it is not installed or told what it does not know."""
        if not self._options.model:
            raise EngineError("the vllm engine needs MODEL: a Hugging Face hub id or a local folder")
        try:
            self._vllm, engine = import_module("vllm"), import_module("vllm.v1.engine.async_llm")
        except ImportError as exc:
            raise EngineError(f"vLLM cannot be imported ({exc}); the image of --target vllm has it") from exc
        self._tokenizer = load_tokenizer(self._options)
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="vllm-loop", daemon=True)
        self._thread.start()
        try:
            self._llm = asyncio.run_coroutine_threadsafe(self._start(engine.AsyncLLM), self.loop).result()
        except BaseException:
            self._end_loop()
            raise

    async def _start(self, kind: Any) -> Any:
        """In the loop, which vLLM then uses for what its processes answer."""
        arguments = {
            "model": self._options.model,
            "revision": self._options.model_revision or None,
            "limit_mm_per_prompt": {"image": 1},
            "max_num_seqs": self.max_batch,
        } | json_object("VLLM_ARGS", self._options.arguments)
        try:
            return kind.from_engine_args(self._vllm.AsyncEngineArgs(**arguments))
        except (OSError, TypeError, ValueError) as exc:
            raise EngineError(f"vLLM cannot load {self._options.model}: {exc}") from exc

    def generate(self, batch: Sequence[Prepared], control: Control) -> list[Generation]:
        if self._llm is None:
            raise EngineError("the model is not loaded; call load() in the process that generates")
        return asyncio.run_coroutine_threadsafe(self._run(batch, control), self.loop).result()

    def close(self) -> None:
        if self._llm is not None:
            self._llm.shutdown()
            self._end_loop()
            self._llm = None

    def _end_loop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(CLOSE_S)
        self.loop.close()

    # the event loop's thread

    async def _run(self, batch: Sequence[Prepared], control: Control) -> list[Generation]:
        return await asyncio.gather(*(self._page(row, page, control) for row, page in enumerate(batch)))

    async def _page(self, row: int, prepared: Prepared, control: Control) -> Generation:
        """One page, whatever happens to it; raises EngineBroken where vLLM is dead."""
        try:
            return control.done(row, await self._read(row, prepared, control))
        except Exception as exc:
            if self._llm.errored:
                raise EngineBroken(f"vLLM has stopped: {exc}") from exc
            logger.warning("page %d was refused by vLLM", prepared.request.page_number, exc_info=True)
            return control.done(row, Generation(text="", stop_reason="error", error=f"{type(exc).__name__}: {exc}"))

    async def _read(self, row: int, prepared: Prepared, control: Control) -> Generation:
        """The control is asked at each token; leaving the stream ends the request in vLLM."""
        text, tokens, looked_at, told_at = "", 0, 0, 0.0
        stream = self._llm.generate(self._prompt(prepared), self._sampling(prepared.request), str(next(self._numbers)))
        try:
            async with asyncio.timeout(max(0.0, control.deadline - time.monotonic())), aclosing(stream) as outputs:
                async for output in outputs:
                    answer = output.outputs[0]
                    text, tokens = answer.text, len(answer.token_ids)
                    if output.finished:  # the stream ends by itself
                        continue
                    if reason := control.should_stop(row):
                        return Generation(text=text, stop_reason=reason, tokens=tokens)
                    if len(text) - looked_at >= LOOK_CHARS:
                        looked_at = len(text)
                        if cut_loop(text) != text:
                            return Generation(text=text, stop_reason="repetition", tokens=tokens)
                    if control.on_text and time.monotonic() - told_at >= TELL_S:
                        told_at = time.monotonic()
                        control.on_text(row, text)
        except TimeoutError:
            return Generation(text=text, stop_reason="timeout", tokens=tokens)
        return ended(text, tokens, str(answer.finish_reason))

    def _sampling(self, request: PageRequest) -> Any:
        return self._vllm.SamplingParams(
            temperature=request.temperature,
            max_tokens=request.max_new_tokens,
            skip_special_tokens=not self.profile.keeps_special,
        )

    def _prompt(self, prepared: Prepared) -> dict[str, Any]:
        if prepared.image is None:
            raise EngineError("the vllm engine wants the page's image")
        words = self.profile.resolve(prepared.request.prompt)
        content = [{"type": "image"}, *([{"type": "text", "text": words}] if words else [])]
        text = self._tokenizer.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
        )
        return {"prompt": text, "multi_modal_data": {"image": prepared.image.convert("RGB")}}


def ended(text: str, tokens: int, finish: str) -> Generation:
    """What an answer came to that vLLM has ended."""
    reason = STOP_REASONS.get(finish)
    if reason is None:
        return Generation(text="", stop_reason="error", tokens=tokens, error=f"vLLM ended the page with {finish!r}")
    loops = reason in ("stop", "length") and cut_loop(text) != text
    return Generation(text=text, stop_reason="repetition" if loops else reason, tokens=tokens)


def load_tokenizer(options: VllmOptions) -> Any:
    """The model's tokenizer, for its chat template. Raises EngineError where it has none."""
    transformers = cast(Any, import_module("transformers"))
    revision = {"revision": options.model_revision} if options.model_revision else {}
    tokenizer = transformers.AutoTokenizer.from_pretrained(options.model, **revision)
    if not tokenizer.chat_template:
        raise EngineError(f"MODEL={options.model!r} has no chat template, which the vllm engine asks it by")
    return tokenizer


OPTIONS, ENGINE = VllmOptions, VllmEngine
