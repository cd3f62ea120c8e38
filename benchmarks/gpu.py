"""How fast the `vlm` engine is on a GPU, beside the loops of transformers and what the hardware allows.

    python -m benchmarks.gpu                      # three sizes, on the CUDA device
    python -m benchmarks.gpu --sizes toy-idefics3 --device cpu --pages 4 --tokens 16

Random weights, a fixed length of answer. Contenders: `generate()` page by page, `generate()` with a batch, this engine
with a growing cache, and with CUDA graphs where the model has them. The bound is the time the device needs to do the
arithmetic of the prompts and to read the weights and the cache once a token.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from benchmarks.random_models import SIZES, RandomEngine
from benchmarks.report import publish, table
from workers.engines import Control, Prepared

FULL_SIZES = ("smolvlm-256m", "granite-docling-258m", "qwen2.5-vl-3b")
PROFILED_TOKENS = 48

# Memory bandwidth in TB/s and dense bfloat16 arithmetic in TFLOP/s, from the makers' data sheets.
DEVICES = {"H200": (4.8, 989.0), "H100": (3.35, 989.0), "A100": (2.0, 312.0), "L40": (0.86, 181.0), "L4": (0.3, 121.0)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One contender. `busy` is the share of the time in which the device worked, 0 to 1; None where nobody can tell."""

    name: str
    seconds: float
    peak_gib: float
    busy: float | None


def page_by_page(engine: RandomEngine, pages: Sequence[Prepared], new_tokens: int) -> None:
    for page in pages:
        _plain_generate(engine, [page], new_tokens)


def in_batches(engine: RandomEngine, pages: Sequence[Prepared], new_tokens: int, batch: int) -> None:
    for start in range(0, len(pages), batch):
        _plain_generate(engine, pages[start : start + batch], new_tokens)


def _plain_generate(engine: RandomEngine, pages: Sequence[Prepared], new_tokens: int) -> None:
    inputs = engine._upload(pages).ready_inputs()
    ids = engine.model.generate(**inputs, max_new_tokens=new_tokens, do_sample=False)
    engine.processor.tokenizer.batch_decode(ids[:, -new_tokens:], skip_special_tokens=True)


def by_engine(engine: RandomEngine, pages: Sequence[Prepared], new_tokens: int, batch: int) -> None:
    """Batches as the GPU worker runs them: the next one is collated and copied while one generates."""
    asked = [replace(page, request=replace(page.request, max_new_tokens=new_tokens)) for page in pages]
    batches = [asked[start : start + batch] for start in range(0, len(asked), batch)]
    engine.stage(batches[0])
    for current, following in zip(batches, [*batches[1:], None], strict=True):
        helper = threading.Thread(target=engine.stage, args=(following,)) if following else None
        if helper:
            helper.start()
        engine.generate(current, Control())
        if helper:
            helper.join()


def measure(name: str, run: Callable[[int], None], new_tokens: int, device: torch.device) -> Measured:
    """Time `run(new_tokens)` after a short run that warms everything up (and compiles, where something compiles)."""
    run(min(new_tokens, PROFILED_TOKENS))
    if device.type != "cuda":
        began = time.perf_counter()
        run(new_tokens)
        return Measured(name=name, seconds=time.perf_counter() - began, peak_gib=float("nan"), busy=None)
    torch.cuda.reset_peak_memory_stats()
    torch.cuda.synchronize()
    began = time.perf_counter()
    run(new_tokens)
    torch.cuda.synchronize()
    seconds = time.perf_counter() - began
    peak_gib = torch.cuda.max_memory_allocated() / 2**30
    return Measured(name=name, seconds=seconds, peak_gib=peak_gib, busy=busy_share(lambda: run(PROFILED_TOKENS)))


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


def contenders(engine: RandomEngine, pages: list[Prepared], batch: int) -> list[tuple[str, Callable[[int], None]]]:
    """The loops that are compared; each takes the length of the answers."""
    return [
        ("generate(), page by page", lambda tokens: page_by_page(engine, pages, tokens)),
        (f"generate(), batch of {batch}", lambda tokens: in_batches(engine, pages, tokens, batch)),
        (f"this engine, batch of {batch}", lambda tokens: by_engine(engine, pages, tokens, batch)),
    ]


def compare(size: str, options: argparse.Namespace) -> list[str]:
    """The Markdown of one size of model."""
    device = torch.device(options.device)
    dtype = "bfloat16" if device.type == "cuda" else "float32"
    engine = RandomEngine(SIZES[size], device=options.device, dtype=dtype)
    engine.load()
    began = time.perf_counter()
    pages = [engine.prepare_page(seed, options.tokens) for seed in range(options.pages)]
    prepare_ms = (time.perf_counter() - began) * 1000 / options.pages
    results = [measure(name, run, options.tokens, device) for name, run in contenders(engine, pages, options.batch)]
    parameters = sum(weight.numel() for weight in engine.model.parameters()) / 1e6
    spool_mb = len(engine.pack(pages[0]) or b"") / 1e6
    lines = [
        f"## {size}: {parameters:.0f} M parameters, {dtype}, {pages[0].num_tokens} prompt tokens, "
        f"{options.tokens} tokens of answer, {options.pages} pages",
        "",
        *table(["", "pages/s", "tokens/s", "GPU busy", "waits for the host", "peak GiB"], _rows(results, options)),
        "",
        f"Preparing a page takes {prepare_ms:.0f} ms of one CPU core and {spool_mb:.1f} MB of spool.",
    ]
    return [*lines, *_bound_lines(engine, pages[0], options, results), ""]


def _rows(results: list[Measured], options: argparse.Namespace) -> list[list[object]]:
    rows: list[list[object]] = []
    for result in results:
        pages_s = options.pages / result.seconds
        busy = "" if result.busy is None else f"{result.busy:.0%}"
        waits = "" if result.busy is None else f"{1 - result.busy:.0%}"
        peak = "" if result.busy is None else f"{result.peak_gib:.1f}"
        rows.append([result.name, f"{pages_s:.2f}", f"{pages_s * options.tokens:.0f}", busy, waits, peak])
    return rows


def _bound_lines(
    engine: RandomEngine, page: Prepared, options: argparse.Namespace, results: list[Measured]
) -> list[str]:
    name = torch.cuda.get_device_name() if options.device.startswith("cuda") else "cpu"
    known = next((figures for key, figures in DEVICES.items() if key in name), None)
    if known is None:
        return []
    seconds = bound_seconds(engine, page, options.tokens, options.batch, *known)
    best = min(result.seconds for result in results) / options.pages
    return [
        f"Bound of {name} ({known[0]} TB/s, {known[1]:.0f} TFLOP/s) at this batch: {1 / seconds:.1f} pages/s; "
        f"the best of the above reaches {seconds / best:.0%} of it."
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="How fast the vlm engine is on this machine's GPU.")
    parser.add_argument("--sizes", nargs="+", choices=sorted(SIZES), default=list(FULL_SIZES))
    parser.add_argument("--device", default="cuda", help="cuda or cpu [cuda]")
    parser.add_argument("--pages", type=int, default=16, help="pages a contender works on [16]")
    parser.add_argument("--batch", type=int, default=8, help="pages in one generation [8]")
    parser.add_argument("--tokens", type=int, default=512, help="tokens of every answer [512]")
    parser.add_argument("--no-file", action="store_true", help="print the figures and write no result file")
    options = parser.parse_args(arguments)
    lines = [line for size in options.sizes for line in compare(size, options)]
    if options.no_file:
        sys.stdout.write("\n".join(lines))
    else:
        publish("gpu", "The vlm engine beside the loops of transformers", lines)


if __name__ == "__main__":
    main()
