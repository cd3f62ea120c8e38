"""Programs that read pictures of pages, each as its users start it, with all cores and its own settings."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

TIMEOUT_S = 3600
RAPIDOCR = """
import json, logging, os, sys, time
logging.disable()
from rapidocr import RapidOCR
reader, paths = RapidOCR(), sys.argv[1:]
def read(path):
    return "\\n".join(reader(path).txts or ())
read(paths[0])
began, cpu = time.monotonic(), time.process_time()
texts = [read(path) for path in paths]
print(json.dumps([texts, time.monotonic() - began, time.process_time() - cpu]))
"""


@dataclass(slots=True)
class Reading:
    """Texts of all pages, and what they took altogether."""

    texts: list[str]
    seconds: float
    cpu_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """The same pages as one PDF and as pictures, in a folder where programs may write."""

    folder: Path
    pdf: Path
    pictures: list[Path] = field(default_factory=list)


def ocrmypdf(task: Task) -> Reading:
    """A PDF with text and, beside it, the text, whose pages end with form feeds."""
    text = task.folder / "ocrmypdf.txt"
    command = ["ocrmypdf", "--sidecar", str(text), str(task.pdf), str(task.folder / "ocrmypdf.pdf")]
    seconds, cpu_seconds = timed(lambda: start(command))
    return Reading(text.read_text().removesuffix("\f").split("\f"), seconds, cpu_seconds)


def tesseract(task: Task) -> Reading:
    """A process a page, as many at once as there are cores, with a thread each."""

    def read(path: Path) -> str:
        return start(["tesseract", str(path), "-"], OMP_THREAD_LIMIT="1")

    texts: list[str] = []

    def read_all() -> None:
        with ThreadPoolExecutor(os.cpu_count()) as threads:
            texts.extend(threads.map(read, task.pictures))

    return Reading(texts, *timed(read_all))


def rapidocr(task: Task) -> Reading:
    """A loop over the pages in one process, whose runtime shares its work among the cores; loading is not counted."""
    answer = start([sys.executable, "-c", RAPIDOCR, *map(str, task.pictures)])
    return Reading(*json.loads(answer.splitlines()[-1]))


PEERS: dict[str, Callable[[Task], Reading]] = {
    "OCRmyPDF": ocrmypdf,
    "RapidOCR, bare": rapidocr,
    "tesseract": tesseract,
}
NEEDED = {"OCRmyPDF": "ocrmypdf", "RapidOCR, bare": "rapidocr", "tesseract": "tesseract"}


def is_installed(peer: str) -> bool:
    return bool(find_spec("rapidocr") if peer.startswith("RapidOCR") else shutil.which(NEEDED[peer]))


def start(command: Sequence[str], **environ: str) -> str:
    """What the program says; raises where it fails."""
    run = subprocess.run(
        command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False, env=dict(os.environ) | environ
    )
    if run.returncode:
        raise RuntimeError(f"{command[0]} ended with {run.returncode}: {run.stderr[-2000:]}")
    return run.stdout


def timed(run: Callable[[], object]) -> tuple[float, float]:
    """Seconds, and processor seconds of the processes that were started and have ended."""
    began, before = time.monotonic(), children_seconds()
    run()
    return time.monotonic() - began, children_seconds() - before


def children_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
