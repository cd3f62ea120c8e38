"""Pagefan on this machine in the foreground: `pagefan up` and `pagefan demo`."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from pagefan.answers import ClientError
from pagefan.client import Client
from pagefan.records import Page
from tasks.engine_choice import idle_gpu_advice
from tasks.logs import configure_logging
from tasks.messages import JOB_ENDED, PAGE_ENDED
from tasks.settings import SettingsError, load_settings
from web.cli.terminal import say
from web.stack.environ import StackError
from web.stack.redis_server import NoRedis
from web.stack.stack import Stack, StackStopped

DATA = Path(__file__).parents[2] / "tests" / "data"
SAMPLE = DATA / "sample.pdf"
TINY_READER = DATA / "tiny-reader"  # the checkpoint that comes with Pagefan, for small pages of a few lines
SMALL_SAMPLE = DATA / "small-page.pdf"
FIRST_LINES = 12
START_ERRORS = (StackError, NoRedis, SettingsError)

console = Console(highlight=False)


@contextmanager
def stopped_by_signals(stack: Stack) -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and a closed terminal stop the stack in order."""

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stack.stopping.set()

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, on_signal) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run_stack(data_dir: Path, named: Mapping[str, str]) -> int:
    """Run the local stack until a signal stops it; the exit code is 1 where it could not start.

    Settings that were `named` go before those of the environment.
    """
    environ = {**os.environ, **named}
    try:
        settings = load_settings(environ)
        configure_logging(settings.log_level, settings.log_format)
        stack = Stack(environ, data_dir)
        with stopped_by_signals(stack), stack:
            say_where(stack)
            if advice := idle_gpu_advice(settings):
                say(console, advice, style="yellow")
            console.print(f"Files    {stack.data_dir}\nCtrl-C stops it.", markup=False)
            stack.supervise()
    except StackStopped:
        return 0
    except START_ERRORS as exc:
        say(console, f"Pagefan could not start: {exc}", style="red")
        return 1
    return 0


def demo(output: Path = Path("demo-output")) -> int:
    """Start the stack in a temporary folder, convert a sample into `output`, stop it; an exit code.

    Without a MODEL, the vlm engine gets the tiny reader and a page of the kind it reads.
    """
    folder = Path(tempfile.mkdtemp(prefix="pagefan-demo-"))
    configure_logging("WARNING", "text")
    environ, sample = dict(os.environ), SAMPLE
    if environ.get("ENGINE") == "vlm" and not environ.get("MODEL"):
        environ["MODEL"], sample = str(TINY_READER), SMALL_SAMPLE
    console.print("Starting Redis, web, two workers, beat and Flower …")
    try:
        stack = Stack(environ, folder)
        with stopped_by_signals(stack), stack, supervised(stack):
            say_where(stack)
            text = convert_sample(stack, sample)
    except (*START_ERRORS, ClientError, OSError) as exc:
        say(console, f"The demo failed: {exc}\nThe logs are in {folder / 'logs'}", style="red")
        return 1
    shutil.rmtree(folder)
    output.mkdir(parents=True, exist_ok=True)
    result = output / f"{sample.stem}.md"
    result.write_text(text, encoding="utf-8")
    lines = text.splitlines()[:FIRST_LINES]
    console.out("\nEverything is stopped. The first lines:\n", *(f"  {line}" for line in lines), sep="\n")
    console.out(f"\nThe Markdown is in {result.resolve()}")
    return 0


@contextmanager
def supervised(stack: Stack) -> Iterator[None]:
    """Keep the stack's processes alive in a thread, which ends when the stack is stopped."""
    threading.Thread(target=stack.supervise, daemon=True).start()
    yield


def convert_sample(stack: Stack, sample: Path) -> str:
    """The sample's Markdown, from the running stack; shows each page as it ends."""
    with Client(stack.base_url) as client, progress_bar() as progress:
        job = client.submit(sample)
        bar = progress.add_task(sample.name, total=None)
        seen: set[int] = set()
        while job["state"] not in JOB_ENDED:
            if stack.stopping.wait(0.1):
                raise StackStopped("stopped before the sample was read")
            job = client.status(job["id"])
            show_pages(progress, client.pages(job["id"])["pages"], seen)
            progress.update(bar, total=job["pages"]["total"] or None, completed=len(seen))
        return client.fetch(job).text


def progress_bar() -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total} pages"),
        TimeElapsedColumn(),
        console=console,
    )


def show_pages(progress: Progress, pages: Sequence[Page], seen: set[int]) -> None:
    """A line for each page that has ended since the last call; `seen` are the page numbers shown."""
    for page in pages:
        number = page["page_number"]
        if page["state"] in PAGE_ENDED and number not in seen:
            seen.add(number)
            detail = page["fault"]["detail"] if page["fault"] else f"read in {page['seconds']:.1f} s"
            words = [page["state"]] if page["state"] == "blank" else [page["state"], detail]
            progress.console.print(f"page {number}: {', '.join(words)}", markup=False)


def say_where(stack: Stack) -> None:
    console.print(f"Pagefan  {stack.base_url}", markup=False)
    if stack.flower_url:
        console.print(f"Flower   {stack.flower_url}", markup=False)
