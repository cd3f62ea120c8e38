"""Many browsers on one job's page: what 500 live listeners cost everybody else.

    python -m benchmarks.listeners [--listeners 500] [--pages 200]

The same job of the echo engine runs without and with listeners, while another client asks for the job's state twenty
times a second. The listeners run on the same machine and use its cores too.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import threading
import time
from contextlib import closing
from pathlib import Path

from benchmarks.report import percentile, publish, table
from tests.services import ENDED, Service, make_pdf
from web.stack.stack import Stack

ASK_EVERY_S = 0.05


async def listen(host: str, port: int, job_id: str) -> tuple[int, bool]:
    """Follow the job to its end: the number of page texts, and whether the end was said."""
    reader, writer = await asyncio.open_connection(host, port, limit=2**22)
    writer.write(f"GET /api/v1/jobs/{job_id}/events HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
    texts, has_ended = 0, False
    async for line in reader:
        texts += line == b"event: text\n"
        has_ended = has_ended or line == b"event: end\n"
        if has_ended:
            break
    writer.close()
    return texts, has_ended


def listen_all(base_url: str, job_id: str, count: int, found: list[tuple[int, bool]]) -> None:
    host, _, port = base_url.removeprefix("http://").partition(":")

    async def gather() -> list[tuple[int, bool]]:
        return await asyncio.gather(*(listen(host, int(port), job_id) for _ in range(count)))

    found += asyncio.run(gather())


def measure(service: Service, num_pages: int, num_listeners: int) -> list[object]:
    """One job: its seconds, the latency of asking for its state, and what the listeners got."""
    started = time.monotonic()
    job_id = service.submit(make_pdf(num_pages))
    found: list[tuple[int, bool]] = []
    crowd = threading.Thread(target=listen_all, args=(service.stack.base_url, job_id, num_listeners, found))
    crowd.start()
    waits: list[float] = []
    while True:
        asked = time.monotonic()
        state = service.http.get(f"/jobs/{job_id}").json()["state"]
        waits.append(1000 * (time.monotonic() - asked))
        if state in ENDED:
            break
        time.sleep(ASK_EVERY_S)
    seconds = time.monotonic() - started
    crowd.join()
    whole = sum(texts == num_pages and has_ended for texts, has_ended in found)
    return [
        num_listeners, f"{num_pages / seconds:.1f}", f"{percentile(waits, 0.5):.0f}", f"{percentile(waits, 0.95):.0f}",
        f"{max(waits):.0f}", f"{whole} of {num_listeners}",
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--listeners", type=int, default=500)
    parser.add_argument("--pages", type=int, default=200)
    options = parser.parse_args()
    env = dict(os.environ) | {"ENGINE": "echo", "ECHO_SECONDS": "0.5", "WEB_PORT": "0", "FLOWER_PORT": "0"}
    env["PAGE_CACHE_MB"] = "0"
    counts = {"web": 1, "cpu": 1, "gpu": 1, "beat": 1}
    with (
        tempfile.TemporaryDirectory() as folder,
        Stack(env, Path(folder), counts=counts) as stack,
        closing(Service(stack)) as service,
    ):
        service.wait(service.submit(make_pdf(8)))
        rows = [measure(service, options.pages, count) for count in (0, options.listeners // 10, options.listeners)]
    header = ["listeners", "pages/s", "state, p50 ms", "state, p95 ms", "state, longest ms", "got every page's text"]
    publish("listeners", "Live listeners on one job", table(header, rows))


if __name__ == "__main__":
    main()
