"""Modules that pass for vLLM 0.33: the names, signatures and manners that the vllm engine uses, and no model.

A page's answer is made of its prompt and its image, a word a token. Words in the prompt make it misbehave.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any


@dataclass
class AsyncEngineArgs:
    model: str
    revision: str | None = None
    limit_mm_per_prompt: dict[str, int] = field(default_factory=dict)
    max_num_seqs: int | None = None
    max_model_len: int | None = None


@dataclass
class SamplingParams:
    temperature: float = 1.0
    max_tokens: int | None = 16
    skip_special_tokens: bool = True


@dataclass
class CompletionOutput:
    text: str
    token_ids: list[int]
    finish_reason: str | None = None


@dataclass
class RequestOutput:
    request_id: str
    outputs: list[CompletionOutput]
    finished: bool


class AsyncLLM:
    made: AsyncLLM | None = None

    def __init__(self, arguments: AsyncEngineArgs) -> None:
        asyncio.get_running_loop()  # the real one starts its handler of outputs in it
        self.arguments, self.errored, self.is_shut = arguments, False, False
        self.aborted: list[str] = []
        self.running = self.most_running = 0
        self.prompts: list[dict[str, Any]] = []
        self.params: list[SamplingParams] = []
        AsyncLLM.made = self

    @classmethod
    def from_engine_args(
        cls,
        engine_args: AsyncEngineArgs,
        start_engine_loop: bool = True,  # noqa: ARG003
        usage_context: Any = None,  # noqa: ARG003
        stat_loggers: list[Any] | None = None,  # noqa: ARG003
    ) -> AsyncLLM:
        return cls(engine_args)

    def shutdown(self, timeout: float | None = None) -> None:  # noqa: ARG002
        self.is_shut = True

    async def generate(
        self,
        prompt: dict[str, Any],
        sampling_params: SamplingParams,
        request_id: str,
        *,
        prompt_text: str | None = None,  # noqa: ARG002
        lora_request: Any = None,  # noqa: ARG002
        tokenization_kwargs: dict[str, Any] | None = None,  # noqa: ARG002
        trace_headers: Mapping[str, str] | None = None,  # noqa: ARG002
        priority: int = 0,  # noqa: ARG002
    ) -> AsyncGenerator[RequestOutput]:
        self.prompts.append(prompt)
        self.params.append(sampling_params)
        asked = prompt["prompt"]
        if "refuse" in asked:
            raise ValueError("the prompt is longer than the model's context")
        pixels = hashlib.sha256(prompt["multi_modal_data"]["image"].tobytes()).hexdigest()[:8]
        words = ["loop"] * 4000 if "loop" in asked else [asked.split("~")[1], "pixels", pixels]
        words = ["word"] + [str(number) for number in range(4000)] if "never" in asked else words
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            for number in range(1, min(len(words), sampling_params.max_tokens or 1) + 1):
                await asyncio.sleep(0.002)
                if "die" in asked:
                    self.errored = True
                    raise RuntimeError("EngineCore encountered an issue")
                is_cut = number == sampling_params.max_tokens and number < len(words)
                is_over = is_cut or number == len(words)
                reason = ("length" if is_cut else "stop") if is_over else None
                answer = CompletionOutput(" ".join(words[:number]), list(range(number)), reason)
                yield RequestOutput(request_id, [answer], is_over)
        except (asyncio.CancelledError, GeneratorExit):
            self.aborted.append(request_id)
            raise
        finally:
            self.running -= 1


def modules() -> dict[str, ModuleType]:
    """What to put into sys.modules."""
    made = {name: ModuleType(name) for name in ("vllm", "vllm.v1", "vllm.v1.engine", "vllm.v1.engine.async_llm")}
    vars(made["vllm"]).update(AsyncEngineArgs=AsyncEngineArgs, SamplingParams=SamplingParams)
    vars(made["vllm.v1.engine.async_llm"]).update(AsyncLLM=AsyncLLM)
    return made
