"""Takes docs/reader.png and docs/reader.webp, the reader with a finished document and while one is read.

python -m tools.reader_pictures

Both are of the real thing: a local stack with the engine of ENGINE reads the sample document in a headless Chromium.
"""

from __future__ import annotations

import io
import os
import shutil
import tempfile
import time
from pathlib import Path

import pymupdf
from PIL import Image
from playwright.sync_api import Page, ViewportSize, expect, sync_playwright

from tools.sample import SAMPLE
from web.stack.stack import Stack

DOCS = Path(__file__).parents[1] / "docs"
SIZE = ViewportSize(width=1280, height=800)
SMALL = (832, 520)  # pixels of the animation
FRAME_S = 0.4
MOST_FRAMES = 60
END_MS = 2500  # the last frame stays
REPEATED = 4  # times the sample, so that there is something to see
READ_MS = 300_000
MOST_BYTES = 600_000


def main() -> None:
    engine = os.environ.get("ENGINE", "ocr")
    environ = os.environ | {"ENGINE": engine, "WEB_PORT": "0", "FLOWER_PORT": "0", "TEXT_LAYER": "ignore"}
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        document = make_document(Path(folder, "The Keeper's Book.pdf"))
        with Stack(environ, Path(folder, "data"), counts={"web": 1, "cpu": 1, "gpu": 1, "beat": 1}) as stack:
            browser = playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox"])
            view = browser.new_page(base_url=stack.base_url, viewport=SIZE)
            send(view, document)
            save_animation(watch(view), DOCS / "reader.webp")
            take_picture(view, DOCS / "reader.png")
            browser.close()


def find_browser() -> str | None:
    """A Chromium of this machine; None for the one that Playwright has fetched."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def make_document(path: Path) -> Path:
    with pymupdf.open() as document, pymupdf.open(SAMPLE) as sample:
        for _ in range(REPEATED):
            document.insert_pdf(sample)
        document.save(path, garbage=3)
    return path


def send(view: Page, document: Path) -> None:
    view.goto("/")
    view.set_input_files("#file", document)
    view.click("#send")
    view.wait_for_selector("#cells", timeout=READ_MS)


def watch(view: Page) -> list[Image.Image]:
    """The reader from the first page to the end, a frame whenever something has changed."""
    frames: list[Image.Image] = []
    last = b""
    deadline = time.monotonic() + READ_MS / 1000
    while time.monotonic() < deadline:
        shot = view.screenshot()
        if shot != last:
            frames.append(Image.open(io.BytesIO(shot)).convert("RGB").resize(SMALL, Image.Resampling.LANCZOS))
        last = shot
        if view.locator("#badge").inner_text() in ("complete", "partly read"):
            return thinned(frames)
        view.wait_for_timeout(1000 * FRAME_S)
    raise TimeoutError(f"the document was not read within {READ_MS // 1000} s")


def thinned(frames: list[Image.Image]) -> list[Image.Image]:
    """So many frames at most, evenly spaced, with the last."""
    step = max(1, -(-len(frames) // MOST_FRAMES))
    return [*frames[:-1:step], frames[-1]]


def save_animation(frames: list[Image.Image], path: Path) -> None:
    durations = [int(1000 * FRAME_S)] * (len(frames) - 1) + [END_MS]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=durations, loop=0, quality=70, method=4)
    check_size(path)


def take_picture(view: Page, path: Path) -> None:
    """A page with a table, a line of it marked on both sides."""
    view.locator("#c3").click()
    cell = view.locator("#page-3 td .line").nth(6)
    expect(cell).to_be_visible(timeout=READ_MS)
    view.wait_for_function("document.querySelector('#page-3 .frame img').complete")
    cell.hover()
    shot = Image.open(io.BytesIO(view.screenshot())).convert("RGB")
    shot.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    check_size(path)


def check_size(path: Path) -> None:
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise SystemExit(f"{path} has {size} bytes, more than {MOST_BYTES}; take fewer or smaller frames")


if __name__ == "__main__":
    main()
