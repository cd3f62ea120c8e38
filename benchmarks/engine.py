"""What the `vlm` engine costs on one CPU core: its loop, its batches, and the preparing of pages.

    python -m benchmarks.engine

Random models of 7 M parameters, answers of a fixed length, one thread. Times are CPU time of the thread or process
that does the work, so that a busy machine does not blur them; only the stalls are by the clock.
"""

from __future__ import annotations

import argparse
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from multiprocessing import get_context
from typing import Any

import torch

from benchmarks.random_models import SIZES, RandomEngine
from benchmarks.report import percentile, publish, table
from workers.engines import Control, PageRequest, Prepared

TOYS = ("toy-qwen2.5-vl", "toy-idefics3")
TICK_S = 0.005


def cpu_seconds(run: Callable[[], object]) -> float:
    """CPU time of this thread in `run`; torch has one thread, so it is all there is."""
    began = time.thread_time()
    run()
    return time.thread_time() - began


def best_of(repeats: int, run: Callable[[], object]) -> float:
    return min(cpu_seconds(run) for _ in range(repeats))


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


def step_ms(run: Callable[[int], object], new_tokens: int) -> float:
    """Milliseconds of one decode step: a long run less a run of one token."""
    return (best_of(3, lambda: run(new_tokens)) - best_of(3, lambda: run(1))) / (new_tokens - 1) * 1000


def compare_loops(size: str, num_pages: int, new_tokens: int) -> list[str]:
    engine = _engine(size)
    pages = limited([engine.prepare_page(seed, new_tokens) for seed in range(num_pages)], new_tokens)
    seconds = best_of(2, lambda: by_library(engine, pages, new_tokens))
    rows: list[list[object]] = [["generate(), page by page", f"{num_pages * new_tokens / seconds:.0f}", "", "", ""]]
    for batch in (1, 4, 8):
        run = [*pages, *pages][:batch]
        inputs = engine._upload(run).ready_inputs()
        seconds = best_of(2, lambda batch=batch: by_engine(engine, pages, batch))
        ours = step_ms(lambda tokens, run=run: engine.generate(limited(run, tokens), Control()), new_tokens)
        bare = step_ms(
            lambda tokens, inputs=inputs: engine.model.generate(
                **inputs, custom_generate=bare_loop, max_new_tokens=tokens
            ),
            new_tokens,
        )
        figures = [f"{num_pages * new_tokens / seconds:.0f}", f"{ours:.2f}", f"{bare:.2f}", f"{ours / bare - 1:+.0%}"]
        rows.append([f"this engine, batch of {batch}", *figures])
    return [
        f"## {size}: {pages[0].num_tokens} prompt tokens, {new_tokens} tokens of answer, {num_pages} pages",
        "",
        *table(["", "tokens per CPU second", "ms a step", "ms a bare step", "the loop costs"], rows),
        "",
    ]


@cache
def _engine(size: str) -> RandomEngine:
    torch.set_num_threads(1)
    engine = RandomEngine(SIZES[size], device="cpu", dtype="float32")
    engine.load()
    return engine


def prepare_and_pack(size: str, seed: int, new_tokens: int) -> bytes:
    """What a CPU worker does; runs in a process of its own."""
    engine = _preparer(size)
    return engine.pack(engine.prepare_page(seed, new_tokens)) or b""


@cache
def _preparer(size: str) -> RandomEngine:
    torch.set_num_threads(1)
    return RandomEngine(SIZES[size], device="cpu", dtype="float32")


def compare_preparing(size: str, num_pages: int, new_tokens: int, batch: int, pool: ProcessPoolExecutor) -> list[str]:
    """CPU time the generating thread spends on a page when pages are prepared before, in it, or beside it."""
    engine = _engine(size)
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
    ready, inline, off = (min(run() for _ in range(3)) / num_pages for run in (before, inside, beside))
    rows: list[list[object]] = [
        ["prepared before", f"{ready * 1000:.1f}", ""],
        ["in the generating thread", f"{inline * 1000:.1f}", f"{inline / ready - 1:+.1%}"],
        ["in a process beside it, through safetensors", f"{off * 1000:.1f}", f"{off / ready - 1:+.1%}"],
    ]
    head = ["pages are", "CPU ms a page of the generating thread", "more than nothing to prepare"]
    return [f"## Preparing: {size}, {new_tokens} tokens of answer, batch of {batch}", "", *table(head, rows), ""]


@contextmanager
def ticking() -> Iterator[list[float]]:
    """A thread that wants to run every 5 ms, as a worker's control loop does; the list gets how late it was, in ms."""
    late_ms: list[float] = []
    over = threading.Event()

    def tick() -> None:
        while not over.is_set():
            began = time.perf_counter()
            over.wait(TICK_S)
            late_ms.append((time.perf_counter() - began - TICK_S) * 1000)

    thread = threading.Thread(target=tick)
    thread.start()
    try:
        yield late_ms
    finally:
        over.set()
        thread.join()


def tokenise(size: str, words: int) -> int:
    return len(_preparer(size).processor.tokenizer("lorem ipsum dolor " * words).input_ids)


def measure_stalls(size: str, words: int, pool: ProcessPoolExecutor) -> list[str]:
    """How late a control loop comes while other threads of its process, or other processes, work."""
    engine = _engine(size)
    pages = [engine.prepare_page(seed, 64) for seed in range(4)]
    num_tokens = pool.submit(tokenise, size, words).result()
    tokenise(size, 10)
    works: dict[str, Callable[[], object]] = {
        "nothing (1 s)": lambda: time.sleep(1),
        f"tokenising {num_tokens} tokens in another process": lambda: pool.submit(tokenise, size, words).result(),
        f"tokenising {num_tokens} tokens in another thread": lambda: _in_thread(lambda: tokenise(size, words)),
        "preparing 4 pages in another process": lambda: pool.submit(_prepare_four, size).result(),
        "generating 64 tokens for 4 pages in another thread": lambda: _in_thread(
            lambda: engine.generate(pages, Control())
        ),
    }
    rows: list[list[object]] = []
    for name, work in works.items():
        with ticking() as late_ms:
            began = time.perf_counter()
            work()
            seconds = time.perf_counter() - began
        rows.append([name, f"{seconds:.2f}", f"{percentile(late_ms, 0.5):.1f}", f"{max(late_ms):.1f}"])
    began = time.perf_counter()
    tokenise(size, words)
    alone = time.perf_counter() - began
    rows.append([f"tokenising {num_tokens} tokens in the loop itself", f"{alone:.2f}", "", f"{alone * 1000:.1f}"])
    head = ["meanwhile", "takes s", "median ms late", "longest stall, ms"]
    return [f"## A control loop that wants to run every {TICK_S * 1000:.0f} ms", "", *table(head, rows), ""]


def _in_thread(work: Callable[[], object]) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(work).result()


def _prepare_four(size: str) -> int:
    return sum(len(prepare_and_pack(size, seed, 1)) for seed in range(4))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="What the vlm engine costs on one CPU core.")
    parser.add_argument("--pages", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=96, help="tokens of every answer [96]")
    parser.add_argument("--words", type=int, default=100_000, help="size of the text that is tokenised [100000]")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    lines = [f"Load of the machine when it began: {os.getloadavg()[0]:.1f}.", ""]
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        for size in TOYS:
            lines += compare_loops(size, options.pages, options.tokens)
            lines += compare_preparing(size, options.pages, options.tokens, 4, pool)
        lines += measure_stalls(TOYS[0], options.words, pool)
    publish("engine", "What the vlm engine costs on one CPU core", lines)


if __name__ == "__main__":
    main()
