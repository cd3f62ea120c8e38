"""The peers of `benchmarks.truth`: programs that make Markdown or text of a document, each in its best set-up here.

Both get a scan without its alpha channel, which OCRmyPDF refuses, and at the resolution that makes it a Letter page:
some scans claim one pixel to the inch, and pymupdf4llm finds nothing on a page of that size. OCRmyPDF is found on the
PATH, so it may have an environment of its own. Its limit of three minutes a page is lifted, which left pages blank
where other work ran, and Tesseract has one thread, as several are slower. It makes no tables and is not asked for any.
pymupdf4llm is imported by this interpreter, in a process of its own, and reads scans by RapidOCR where that is
installed beside it, as it advises.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import packages_distributions
from pathlib import Path

from PIL import Image

TIMEOUT_S = 3600
LETTER_IN, LEAST_DPI = 11.0, 100.0  # a small picture is no page; OCRmyPDF believes in no less than 96
PYMUPDF4LLM = (
    "import pathlib, sys, pymupdf4llm; pathlib.Path(sys.argv[2]).write_text(pymupdf4llm.to_markdown(sys.argv[1]))"
)
OCRMYPDF = ["--skip-text", "--tesseract-timeout", str(TIMEOUT_S)]


class PeerError(Exception):
    """A peer has made nothing of a document; the message has the end of what it said."""


def read_with_pymupdf4llm(path: Path, folder: Path) -> str:
    return run([sys.executable, "-c", PYMUPDF4LLM, str(path), str(folder / "out.md")], folder / "out.md")


def read_with_ocrmypdf(path: Path, folder: Path) -> str:
    text = folder / "out.txt"
    return run(["ocrmypdf", *OCRMYPDF, "--sidecar", str(text), str(path), str(folder / "out.pdf")], text)


NO_TABLES = frozenset({"ocrmypdf"})
PEERS: dict[str, Callable[[Path, Path], str]] = {
    "pymupdf4llm": read_with_pymupdf4llm,
    "ocrmypdf": read_with_ocrmypdf,
}


def read_with_peer(name: str, path: Path) -> str:
    """The Markdown or text that a peer makes of a file; raises PeerError where it makes none."""
    with tempfile.TemporaryDirectory() as folder:
        source = path if path.suffix == ".pdf" else as_letter(path, Path(folder))
        return PEERS[name](source, Path(folder))


def run(command: Sequence[str], result: Path) -> str:
    """What the command writes; what it prints may be notes to people."""
    env = os.environ | {"OMP_THREAD_LIMIT": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False, env=env)
    if done.returncode or not result.exists():
        raise PeerError(f"{command[0]} ended with {done.returncode}: {done.stderr.strip()[-300:]}")
    return result.read_text()


def as_letter(path: Path, folder: Path) -> Path:
    """A scan as PNG, without an alpha channel, at the resolution of a Letter page."""
    with Image.open(path) as image:
        flat = image.convert("RGBA") if "A" in image.getbands() else image.convert("RGB")
    if flat.mode == "RGBA":
        ground = Image.new("RGBA", flat.size, "white")
        flat = Image.alpha_composite(ground, flat).convert("RGB")
    dpi = max(LEAST_DPI, max(flat.size) / LETTER_IN)
    flat.save(folder / "page.png", dpi=(dpi, dpi))
    return folder / "page.png"


def installed(names: Sequence[str]) -> Iterator[str]:
    """The peers that are here. A module is asked for by its files: our light PyMuPDF keeps some from being imported."""
    for name in names:
        if shutil.which(name) or name in packages_distributions():
            yield name
