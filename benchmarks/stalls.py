"""How late a worker's control loop comes while its process, or others, prepare and generate."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager

from benchmarks.random_models import prepare_and_pack, toy_engine, toy_preparer
from benchmarks.report import percentile, table
from workers.engines import Control

TICK_S = 0.005


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
    return len(toy_preparer(size).processor.tokenizer("lorem ipsum dolor " * words).input_ids)


def measure_stalls(size: str, words: int, new_tokens: int, pool: ProcessPoolExecutor) -> list[str]:
    """How late a control loop comes while other threads of its process, or other processes, work."""
    engine = toy_engine(size)
    pages = [engine.prepare_page(seed, new_tokens) for seed in range(4)]
    num_tokens = pool.submit(tokenise, size, words).result()
    tokenise(size, 10)
    works: dict[str, Callable[[], object]] = {
        "nothing (1 s)": lambda: time.sleep(1),
        f"tokenising {num_tokens} tokens in another process": lambda: pool.submit(tokenise, size, words).result(),
        f"tokenising {num_tokens} tokens in another thread": lambda: _in_thread(lambda: tokenise(size, words)),
        "preparing 4 pages in another process": lambda: pool.submit(_prepare_four, size).result(),
        f"generating {new_tokens} tokens for 4 pages in another thread": lambda: _in_thread(
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
