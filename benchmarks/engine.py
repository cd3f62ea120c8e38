"""What the `vlm` engine costs on one CPU core: its loop, its batches, and the preparing of pages.

    python -m benchmarks.engine

Random models of 7 M parameters, answers of a fixed length, one thread. Times are CPU time of the thread or process
that does the work, so that a busy machine blurs them less; only the stalls are by the clock.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from typing import Any

import torch

from benchmarks.random_models import RandomEngine, prepare_and_pack, toy_engine
from benchmarks.report import be_engine_process, publish, table
from benchmarks.stalls import measure_stalls
from workers.engines import Control, PageRequest, Prepared

TOYS = ("toy-qwen2.5-vl", "toy-idefics3")
BATCHES = (1, 4, 8)


def cpu_seconds(run: Callable[[], object]) -> float:
    """CPU time of this process in `run`; torch has one thread, and the engine generates in one of its own."""
    began = time.process_time()
    run()
    return time.process_time() - began


def best_of(repeats: int, *runs: Callable[[], float]) -> list[float]:
    """The least of each run's figures; the runs take turns, so that a busy minute of the machine hits them all."""
    rounds = [[run() for run in runs] for _ in range(repeats)]
    return [min(figures) for figures in zip(*rounds, strict=True)]


def limited(pages: Sequence[Prepared], new_tokens: int) -> list[Prepared]:
    return [replace(page, request=replace(page.request, max_new_tokens=new_tokens)) for page in pages]


def by_engine(engine: RandomEngine, pages: Sequence[Prepared], batch: int) -> None:
    for start in range(0, len(pages), batch):
        engine.generate(pages[start : start + batch], Control())


def by_library(engine: RandomEngine, pages: Sequence[Prepared], new_tokens: int) -> None:
    for page in pages:
        inputs = engine._upload([page]).ready_inputs()
        ids = engine.model.generate(**inputs, max_new_tokens=new_tokens, do_sample=False)
        engine.processor.tokenizer.batch_decode(ids[:, -new_tokens:], skip_special_tokens=True)


def bare_loop(model: Any, input_ids: torch.Tensor, generation_config: Any, **inputs: Any) -> torch.Tensor:
    """The least a loop can do: forward, take the likeliest token, go on. Nobody looks at the tokens."""
    inputs = {key: value for key, value in inputs.items() if key not in ("logits_processor", "stopping_criteria")}
    steps = generation_config.max_length - input_ids.shape[1]
    output = model._prefill(input_ids, generation_config, inputs)
    for step in range(steps):
        inputs = model._update_model_kwargs_for_generation(output, inputs)
        input_ids = torch.cat([input_ids, output.logits[:, -1].argmax(-1, keepdim=True)], 1)
        if step + 1 < steps:
            following = model.prepare_inputs_for_generation(input_ids, next_sequence_length=1, **inputs)
            output = model(**following, return_dict=True)
    return input_ids


def step_ms(engine: RandomEngine, run: Callable[[], object]) -> float:
    """CPU milliseconds of a decode step in `run`: from the model's second call, the first being the prompt's."""
    calls: list[float] = []
    hook = engine.model.register_forward_pre_hook(lambda *_: calls.append(time.process_time()))
    try:
        run()
        return (time.process_time() - calls[1]) / (len(calls) - 1) * 1000
    finally:
        hook.remove()


def compare_loops(size: str, num_pages: int, new_tokens: int, repeats: int) -> list[str]:
    engine = toy_engine(size)
    pages = limited([engine.prepare_page(seed, new_tokens) for seed in range(num_pages)], new_tokens)
    totals = best_of(
        repeats,
        lambda: cpu_seconds(lambda: by_library(engine, pages, new_tokens)),
        *(lambda batch=batch: cpu_seconds(lambda: by_engine(engine, pages, batch)) for batch in BATCHES),
    )
    speeds = [f"{num_pages * new_tokens / seconds:.0f}" for seconds in totals]
    rows: list[list[object]] = [["generate(), page by page", speeds[0], "", "", ""]]
    for batch, speed in zip(BATCHES, speeds[1:], strict=True):
        ours, bare = compare_steps(engine, [*pages, *pages][:batch], new_tokens, repeats)
        figures = [f"{ours:.2f}", f"{bare:.2f}", f"{ours / bare - 1:+.0%}"]
        rows.append([f"this engine, batch of {batch}", speed, *figures])
    return [
        f"## {size}: {pages[0].num_tokens} prompt tokens, {new_tokens} tokens of answer, {num_pages} pages",
        "",
        *table(["", "tokens per CPU second", "ms a step", "ms a bare step", "the loop costs"], rows),
        "",
    ]


def compare_steps(engine: RandomEngine, pages: list[Prepared], new_tokens: int, repeats: int) -> list[float]:
    """Milliseconds of a decode step of this engine, and of the bare loop."""
    inputs = engine._upload(pages).ready_inputs()

    def ours() -> object:
        return engine.generate(pages, Control())

    def bare() -> object:
        return engine.model.generate(**inputs, custom_generate=bare_loop, max_new_tokens=new_tokens)

    return best_of(repeats, lambda: step_ms(engine, ours), lambda: step_ms(engine, bare))


def compare_preparing(
    size: str, num_pages: int, new_tokens: int, batch: int, repeats: int, pool: ProcessPoolExecutor
) -> list[str]:
    """CPU time this process spends on a page when pages are prepared before, in it, or beside it."""
    engine = toy_engine(size)
    request = PageRequest(page_number=1, max_new_tokens=new_tokens)
    seeds = list(range(num_pages))

    def before() -> float:
        pages = [engine.prepare_page(seed, new_tokens) for seed in seeds]
        return cpu_seconds(lambda: by_engine(engine, pages, batch))

    def inside() -> float:
        return cpu_seconds(lambda: by_engine(engine, [engine.prepare_page(s, new_tokens) for s in seeds], batch))

    def beside() -> float:
        packed: list[Future[bytes]] = [pool.submit(prepare_and_pack, size, seed, new_tokens) for seed in seeds]

        def run() -> None:
            for start in range(0, num_pages, batch):
                pages = [engine.unpack(page.result(), request) for page in packed[start : start + batch]]
                engine.generate(pages, Control())

        return cpu_seconds(run)

    pool.submit(prepare_and_pack, size, 0, new_tokens).result()
    ready, inline, off = (seconds / num_pages for seconds in best_of(repeats, before, inside, beside))
    rows: list[list[object]] = [
        ["prepared before", f"{ready * 1000:.1f}", ""],
        ["in the generating thread", f"{inline * 1000:.1f}", f"{inline / ready - 1:+.1%}"],
        ["in a process beside it, through safetensors", f"{off * 1000:.1f}", f"{off / ready - 1:+.1%}"],
    ]
    head = ["pages are", "CPU ms a page of the generating thread", "more than nothing to prepare"]
    return [f"## Preparing: {size}, {new_tokens} tokens of answer, batch of {batch}", "", *table(head, rows), ""]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="What the vlm engine costs on one CPU core.")
    parser.add_argument("--pages", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=96, help="tokens of every answer [96]")
    parser.add_argument("--words", type=int, default=100_000, help="size of the text that is tokenised [100000]")
    parser.add_argument("--repeats", type=int, default=4, help="rounds of which the best counts [4]")
    parser.add_argument("--no-file", action="store_true", help="print the figures and write no result file")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    lines = [f"Load of the machine when it began: {os.getloadavg()[0]:.1f}.", ""]
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        for size in TOYS:
            lines += compare_loops(size, options.pages, options.tokens, options.repeats)
            lines += compare_preparing(size, options.pages, options.tokens, 4, options.repeats, pool)
        lines += measure_stalls(TOYS[0], options.words, options.tokens, pool)
    if options.no_file:
        sys.stdout.write("\n".join(lines))
    else:
        publish("engine", "What the vlm engine costs on one CPU core", lines)


if __name__ == "__main__":
    be_engine_process()
    main()
