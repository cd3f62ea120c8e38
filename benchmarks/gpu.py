"""How fast the `vlm` engine is on a GPU, beside the loops of transformers and what the hardware allows.

    python -m benchmarks.gpu                      # two sizes, on the CUDA device, within eight minutes on an H100
    python -m benchmarks.gpu --sizes toy-idefics3 --device cpu --pages 24 --batch 8 --tokens 32

Random weights, answers of a given length. Contenders: `generate()` page by page and with a batch; this engine with
batches; with pages that join when others end; and that with its steps as CUDA graphs. Each reads pages whose answers
are all of one length, and pages whose lengths are lognormal (sigma 0.6) with the same mean. The bound is the time the
device needs to do the arithmetic of the prompts and to read the weights and the cache once a token.
"""

from __future__ import annotations

import argparse
import random
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch

from benchmarks.device import Measured, best_speed, measure
from benchmarks.random_models import SIZES, RandomEngine
from benchmarks.report import publish, table
from workers.engines import Control, Prepared

FULL_SIZES = ("granite-docling-258m", "qwen2.5-vl-3b")
SIGMA, LONGEST = 0.6, 4.0  # of lognormal lengths; none is longer than so many times the mean
SLOW_PAGES = 2  # that a contender is given which reads one page after another
SAMPLE_TOKENS, WARM_TOKENS = 48, 8

Run = Callable[[Sequence[Prepared]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A way to generate. `batch` is how many pages it takes at once; `is_ours` where it is this engine."""

    name: str
    run: Run
    engine: RandomEngine
    batch: int
    is_ours: bool = True


def by_library(engine: RandomEngine, pages: Sequence[Prepared], batch: int) -> None:
    for start in range(0, len(pages), batch):
        some = pages[start : start + batch]
        longest = max(page.request.max_new_tokens for page in some)
        inputs = engine._upload(some).ready_inputs()
        ids = engine.model.generate(**inputs, max_new_tokens=longest, do_sample=False)
        engine.processor.tokenizer.batch_decode(ids[:, -longest:], skip_special_tokens=True)


def by_batches(engine: RandomEngine, pages: Sequence[Prepared], batch: int) -> None:
    """Batches as the GPU worker runs them: the next one is collated and copied while one generates."""
    batches = [pages[start : start + batch] for start in range(0, len(pages), batch)]
    engine.stage(batches[0])
    for current, following in zip(batches, [*batches[1:], None], strict=True):
        helper = threading.Thread(target=engine.stage, args=(following,)) if following else None
        if helper:
            helper.start()
        engine.generate(current, Control())
        if helper:
            helper.join()


def by_slots(engine: RandomEngine, pages: Sequence[Prepared]) -> None:
    """Single pages, as the GPU worker gives them to an engine whose pages join."""
    with ThreadPoolExecutor(engine.num_slots) as slots:
        for done in [slots.submit(engine.generate, [page], Control()) for page in pages]:
            done.result()


def contenders(size: str, options: argparse.Namespace, base: RandomEngine) -> list[Contender]:
    """`base` has the weights; it works in batches."""
    batch = options.batch
    made = [
        Contender(
            name="generate(), page by page", run=lambda p: by_library(base, p, 1), engine=base, batch=1, is_ours=False
        ),
        Contender(
            name=f"generate(), batch of {batch}",
            run=lambda p: by_library(base, p, batch),
            engine=base,
            batch=batch,
            is_ours=False,
        ),
        Contender(
            name=f"this engine, batch of {batch}", run=lambda p: by_batches(base, p, batch), engine=base, batch=batch
        ),
    ]
    for graphs in (False, True)[: 1 + options.device.startswith("cuda")]:
        joining = RandomEngine(SIZES[size], like=base, **engine_options(options), cuda_graphs=graphs)
        joining.load()
        name = f"this engine, {batch} at once that join{', CUDA graphs' if graphs else ''}"
        made.append(Contender(name=name, run=partial(by_slots, joining), engine=joining, batch=batch))
    return made


def engine_options(options: argparse.Namespace) -> dict[str, Any]:
    dtype = "bfloat16" if options.device.startswith("cuda") else "float32"
    return {"device": options.device, "dtype": dtype, "batch_pages": options.batch}


def lognormal(mean: int, number: int) -> list[int]:
    """Lengths of answers with this mean, the same ones each time."""
    draw = random.Random(0)
    drawn = [min(LONGEST, draw.lognormvariate(-(SIGMA**2) / 2, SIGMA)) for _ in range(number)]
    scale = mean * number / sum(drawn)
    return [max(1, round(scale * length)) for length in drawn]


def with_lengths(pages: Sequence[Prepared], lengths: Sequence[int]) -> list[Prepared]:
    return [
        replace(page, request=replace(page.request, max_new_tokens=length))
        for page, length in zip(pages, lengths, strict=True)
    ]


def compete(contender: Contender, pages: Sequence[Prepared], options: argparse.Namespace) -> list[list[object]]:
    """The rows of a contender: equal lengths, and where pages share a batch lognormal ones."""
    some = pages[: SLOW_PAGES if contender.batch == 1 else len(pages)]
    kinds = {"equal": [options.tokens] * len(some)}
    if contender.is_ours:
        kinds["lognormal"] = lognormal(options.tokens, len(some))
    contender.run(with_lengths(some[: contender.batch], [WARM_TOKENS] * min(contender.batch, len(some))))
    sample = with_lengths(some, [SAMPLE_TOKENS] * len(some))
    rows: list[list[object]] = []
    for kind, lengths in kinds.items():
        asked = with_lengths(some, lengths)
        result = measure(partial(contender.run, asked), partial(contender.run, sample), torch.device(options.device))
        rows.append([contender.name, kind, *figures(result, len(some), sum(lengths))])
    return rows


def figures(result: Measured, num_pages: int, num_tokens: int) -> list[object]:
    busy = "" if result.busy is None else f"{result.busy:.0%}"
    waits = "" if result.busy is None else f"{1 - result.busy:.0%}"
    peak = "" if result.busy is None else f"{result.peak_gib:.1f}"
    return [f"{num_pages / result.seconds:.2f}", f"{num_tokens / result.seconds:.0f}", busy, waits, peak]


def compare(size: str, options: argparse.Namespace) -> list[str]:
    """The Markdown of one size of model."""
    base = RandomEngine(SIZES[size], **engine_options(options), refill=False)
    base.load()
    began = time.perf_counter()
    pages = [base.prepare_page(seed, options.tokens) for seed in range(options.pages)]
    prepare_ms = (time.perf_counter() - began) * 1000 / options.pages
    rows: list[list[object]] = []
    seconds = 0.0
    with closing(base):
        for contender in contenders(size, options, base):
            rows += compete(contender, pages, options)
            if contender.engine is not base:
                seconds += contender.engine.graph_seconds
                contender.engine.close()
        bound = best_speed(base, pages[0], options.tokens, options.batch)
        parameters = sum(weight.numel() for weight in base.model.parameters()) / 1e6
    naive = float(str(rows[0][3]))
    head = ["", "lengths", "pages/s", "tokens/s", "GPU busy", "waits for the host", "peak GiB", "÷ naive"]
    return [
        f"## {size}: {parameters:.0f} M parameters, {base.options.dtype}, {pages[0].num_tokens} prompt tokens, "
        f"{options.tokens} tokens of answer, {options.pages} pages",
        "",
        *table(head, [[*row, f"{float(str(row[3])) / naive:.1f}"] for row in rows]),
        "",
        f"Preparing a page takes {prepare_ms:.0f} ms of one CPU core and "
        f"{len(base.pack(pages[0]) or b'') / 1e6:.1f} MB of spool. Recording the graphs took {seconds:.1f} s.",
        *([f"Bound of {bound[0]} at this batch: {bound[1]:.1f} pages/s."] if bound else []),
        "",
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="How fast the vlm engine is on this machine's GPU.")
    parser.add_argument("--sizes", nargs="+", choices=sorted(SIZES), default=list(FULL_SIZES))
    parser.add_argument("--device", default="cuda", help="cuda or cpu [cuda]")
    parser.add_argument("--pages", type=int, default=96, help="pages a contender works on [96]")
    parser.add_argument("--batch", type=int, default=32, help="pages at once [32]")
    parser.add_argument("--tokens", type=int, default=256, help="tokens of an answer, or their mean [256]")
    parser.add_argument("--no-file", action="store_true", help="print the figures and write no result file")
    options = parser.parse_args(arguments)
    lines = [line for size in options.sizes for line in compare(size, options)]
    if options.no_file:
        sys.stdout.write("\n".join(lines))
    else:
        card = torch.cuda.get_device_name() if options.device.startswith("cuda") else "cpu"
        name = "gpu-" + card.lower().replace(" ", "-")
        publish(name, f"The vlm engine beside the loops of transformers, on {card}", lines)


if __name__ == "__main__":
    main()
