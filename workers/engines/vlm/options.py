"""What the `vlm` engine can be told."""

from __future__ import annotations

from dataclasses import dataclass

from workers.engines.options import ModelOptions, option


@dataclass(frozen=True, slots=True, kw_only=True)
class VlmOptions(ModelOptions):
    """Of a checkpoint on this machine."""

    device: str = option("auto", setting="device")
    dtype: str = option(
        "auto",
        setting="dtype",
        unit="name",
        help="Number type of the weights: auto, float32, bfloat16, float16.",
        tells=True,
    )
    attention: str = option(
        "auto",
        setting="attention",
        unit="name",
        help="Attention implementation: auto, sdpa, eager, flash_attention_2.",
        tells=True,
    )
    prompt_style: str = option(
        "auto",
        setting="prompt_style",
        unit="name",
        help="How the prompt reaches the model: auto, chat, raw, none.",
        tells=True,
    )
    cuda_graphs: bool = option(True)
    batch_pages: int = option(32, setting="gpu_batch_pages")
    refill: bool = option(True)
