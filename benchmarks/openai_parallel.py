"""What parallel requests gain against a model server that takes its time, and how long the event loop ever stalls.

    python -m benchmarks.openai_parallel [--pages 64] [--latency-ms 200]

The server is a process of its own that answers every request after the same time, however many it has. The longest
stall is that of a task in the engine's event loop that wants to run every millisecond; on a busy machine part of it is
the machine's, so an idle loop is measured too, and the processor time that the loop's thread spent between two runs.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import multiprocessing
import time
from contextlib import closing
from multiprocessing.connection import Connection

from PIL import Image, ImageDraw

from benchmarks.report import publish, table
from tests.fault_server import FaultServer
from workers.engines import Control, Generation, PageRequest, Prepared
from workers.engines.openai.engine import OpenAIEngine
from workers.engines.openai.options import OpenAIOptions
from workers.engines.openai.wire import request_body

TICK_S = 0.001
PARALLEL = (1, 4, 16, 32, 64)
PAGE_PX = (736, 1024)  # A4 at the default VLM_MAX_DIMENSION


def serve_for_ever(latency_s: float, tell: Connection) -> None:
    with FaultServer(latency_s=latency_s) as server:
        tell.send(server.base_url)
        server.serve_forever()


def draw_page(number: int) -> Prepared:
    """A page full of text-like lines; noise would take longer to encode, white paper less."""
    image = Image.effect_noise(PAGE_PX, 4).convert("RGB")
    draw = ImageDraw.Draw(image)
    for line in range(40):
        draw.text((40, 20 + 25 * line), f"page {number}, line {line}: " + "words and words " * 6, fill="black")
    return Prepared(request=PageRequest(page_number=number, prompt=f"page {number}"), image=image)


class Stall:
    """How late the event loop came to a task that sleeps a millisecond at a time, and how long it worked meanwhile."""

    longest_s = 0.0
    longest_work_s = 0.0

    async def watch(self) -> None:
        while True:
            started, worked_s = time.monotonic(), time.thread_time()
            await asyncio.sleep(TICK_S)
            self.longest_s = max(self.longest_s, time.monotonic() - started - TICK_S)
            self.longest_work_s = max(self.longest_work_s, time.thread_time() - worked_s)

    @classmethod
    async def of_idle_loop(cls, seconds: float) -> Stall:
        stall = cls()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stall.watch(), seconds)
        return stall


Result = tuple[float, Stall, list[Generation]]


def measure(base_url: str, pages: list[Prepared], parallel: int) -> Result:
    """Seconds for all pages, how the loop stalled, and what came of the pages."""
    engine = OpenAIEngine(OpenAIOptions(base_url=base_url, model="m", parallel_requests=parallel))
    engine.load()
    with closing(engine):
        engine.generate(pages[:parallel], Control())  # connections are open and modules loaded
        stall = Stall()
        watching = asyncio.run_coroutine_threadsafe(stall.watch(), engine.loop)
        started = time.monotonic()
        generations = engine.generate(pages, Control())
        seconds = time.monotonic() - started
        watching.cancel()
    return seconds, stall, generations


def encode_seconds(page: Prepared) -> float:
    started = time.thread_time()
    for _ in range(5):
        request_body(page, "m")
    return (time.thread_time() - started) / 5


HEADER = [
    "PARALLEL_VLM_REQUESTS",
    "time",
    "pages/s",
    "times faster",
    "longest loop stall",
    "longest work of the loop",
    "same texts",
]


def make_row(parallel: int, result: Result, base: Result) -> list[object]:
    (seconds, stall, generations), (base_s, _, expected) = result, base
    stalls = f"{1000 * stall.longest_s:.1f} ms", f"{1000 * stall.longest_work_s:.1f} ms"
    rate = f"{len(generations) / seconds:.1f}", f"{base_s / seconds:.2f}"
    return [parallel, f"{seconds:.2f} s", *rate, *stalls, "yes" if generations == expected else "no"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pages", type=int, default=64)
    parser.add_argument("--latency-ms", type=int, default=200)
    args = parser.parse_args()
    hear, tell = multiprocessing.Pipe(duplex=False)
    context = multiprocessing.get_context("spawn")
    server = context.Process(target=serve_for_ever, args=(args.latency_ms / 1000, tell), daemon=True)
    server.start()
    base_url = str(hear.recv())
    pages = [draw_page(number) for number in range(1, args.pages + 1)]
    results = {parallel: measure(base_url, pages, parallel) for parallel in PARALLEL}
    server.terminate()
    server.join()
    idle = asyncio.run(Stall.of_idle_loop(3.0))
    about = [
        f"{args.pages} pages of {PAGE_PX[0]} x {PAGE_PX[1]} px, a server that answers after {args.latency_ms} ms,",
        "`python -m benchmarks.openai_parallel`.",
        "",
    ]
    rows = [make_row(parallel, result, results[1]) for parallel, result in results.items()]
    remarks = [
        "",
        f"An idle loop on this machine stalled for {1000 * idle.longest_s:.1f} ms at the same time of day.",
        f"Encoding one page takes {1000 * encode_seconds(pages[0]):.1f} ms of a processor, outside the loop;",
        f"its request has {len(request_body(pages[0], 'm')) / 1024:.0f} KiB.",
    ]
    lines = [*about, *table(HEADER, rows), *remarks]
    publish("openai_parallel", "The openai engine: parallel requests", lines)


if __name__ == "__main__":
    main()
