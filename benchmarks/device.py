"""What a device does while something runs on it, and what it cannot do faster."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from benchmarks.random_models import RandomEngine
from workers.engines import Prepared

# Memory bandwidth in TB/s and dense bfloat16 arithmetic in TFLOP/s, from the makers' data sheets.
DEVICES = {"H200": (4.8, 989.0), "H100": (3.35, 989.0), "A100": (2.0, 312.0), "L40": (0.86, 181.0), "L4": (0.3, 121.0)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One run. `busy` is the share of the time in which the device worked, 0 to 1; None where nobody can tell."""

    seconds: float
    peak_gib: float = float("nan")
    busy: float | None = None


def measure(run: Callable[[], None], sample: Callable[[], None] | None, device: torch.device) -> Measured:
    """Time `run`; how busy it keeps a GPU is seen in `sample`, a shorter run of the same kind.

    On a CPU the time is the processor's, which other programs on the machine blur less.
    """
    if device.type != "cuda":
        began = time.process_time()
        run()
        return Measured(seconds=time.process_time() - began)
    torch.cuda.reset_peak_memory_stats()
    torch.cuda.synchronize()
    began = time.perf_counter()
    run()
    torch.cuda.synchronize()
    seconds = time.perf_counter() - began
    peak_gib = torch.cuda.max_memory_allocated() / 2**30
    return Measured(seconds=seconds, peak_gib=peak_gib, busy=busy_share(sample) if sample else None)


def busy_share(run: Callable[[], None]) -> float:
    """The share of the time in which at least one kernel or copy ran; in the rest the device waited for the host."""
    torch.cuda.synchronize()
    with profile(activities=[ProfilerActivity.CUDA]) as recorded:
        began = time.perf_counter()
        run()
        torch.cuda.synchronize()
        seconds = time.perf_counter() - began
    spans = [(event.time_range.start, event.time_range.end) for event in _device_events(recorded)]
    busy_us, reached = 0.0, 0.0
    for start, end in sorted(spans):
        busy_us += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return busy_us / 1e6 / seconds


def _device_events(recorded: Any) -> list[Any]:
    return [event for event in recorded.events() if event.device_type == DeviceType.CUDA]


def bound_seconds(
    engine: RandomEngine, page: Prepared, new_tokens: int, batch: int, tb_s: float, tflops: float
) -> float:
    """Seconds a page cannot be faster than: 2 operations a weight and prompt token, one reading of all a token needs.

    Kaplan et al. 2020, section 2.1, for the operations; weights are read once for the batch, each row's cache for it.
    """
    model, text = engine.model, engine.model.config.get_text_config(decoder=True)
    decoder = sum(weight.numel() for weight in model.get_decoder().parameters())
    vision = sum(weight.numel() for weight in model.parameters()) - decoder
    head = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    width = torch.finfo(model.dtype).bits // 8
    cache = 2 * text.num_hidden_layers * text.num_key_value_heads * head * width  # bytes a token
    context = page.num_tokens + new_tokens / 2
    step = (decoder * width / batch + context * cache) / (tb_s * 1e12)
    pixels = (page.tensors or {})["pixel_values"].numel() / 3
    patches = pixels / (16 * 16 if "idefics" in model.config.model_type else 14 * 14 * 2)  # two frames of each patch
    prompt = 2 * (decoder * page.num_tokens + vision * patches) / (tflops * 1e12)
    return float(prompt + new_tokens * step)


def best_speed(engine: RandomEngine, page: Prepared, new_tokens: int, batch: int) -> tuple[str, float] | None:
    """The GPU's name and figures, and the pages/s that it cannot exceed; None for one whose figures are not known."""
    name = torch.cuda.get_device_name() if engine.model.device.type == "cuda" else "cpu"
    known = next((figures for key, figures in DEVICES.items() if key in name), None)
    if known is None:
        return None
    about = f"{name} ({known[0]} TB/s, {known[1]:.0f} TFLOP/s)"
    return about, 1 / bound_seconds(engine, page, new_tokens, batch, *known)
