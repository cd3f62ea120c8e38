"""Pagefan without a server of one's own: `pagefan.convert("report.pdf").text`."""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Unpack

from pagefan.answers import ClientError, Format, Options, Result
from pagefan.asking import OnChange
from pagefan.client import Client
from pagefan.records import Job
from pagefan.sources import Source

OWN = {"WEB_HOST": "127.0.0.1", "WEB_PORT": "0", "FLOWER_PORT": "0"}  # ports that the system chooses, and no Flower
OF_OTHERS = ("REDIS_URL", "BLOB_URL", "API_KEYS")  # settings of a server that is not this one


class NoServer(ClientError):
    """No server is named by PAGEFAN_URL, and none is installed that could be started."""


def convert(source: Source, *, format: Format = "md", **options: Unpack[Options]) -> Result:
    """Convert one document, as `Client.convert` does, with a bar where somebody looks.

    Starts a server and stops it again, unless PAGEFAN_URL names one; for many documents take `local`. Raises NoServer,
    OSError, JobFailed and the other errors of the client.
    """
    with local() as client, progress() as show:
        return client.convert(source, format=format, on_progress=show, **options)


@contextlib.contextmanager
def local() -> Iterator[Client]:
    """A client of the server at PAGEFAN_URL, else of one that is started for as long, in a folder that goes with it."""
    url, key = os.environ.get("PAGEFAN_URL", ""), os.environ.get("PAGEFAN_API_KEY", "")
    if url:
        with Client(url, key) as client:
            yield client
        return
    with private_server() as url, Client(url) as client:
        yield client


@contextlib.contextmanager
def private_server() -> Iterator[str]:
    """The address of a server that only this process knows of, with the settings of the environment."""
    module = server_module()
    environ = {name: value for name, value in os.environ.items() if name not in OF_OTHERS} | OWN
    with (
        tempfile.TemporaryDirectory(prefix="pagefan-", ignore_cleanup_errors=True) as folder,
        module.Stack(environ, Path(folder)) as stack,
    ):
        threading.Thread(target=stack.supervise, daemon=True).start()
        yield stack.base_url


def server_module() -> Any:
    """The server's `web.stack.stack`; raises NoServer where only the client is installed."""
    try:
        importlib.metadata.version("pagefan-server")
        return importlib.import_module("web.stack.stack")
    except (importlib.metadata.PackageNotFoundError, ImportError) as exc:
        raise NoServer(
            "There is no server: set PAGEFAN_URL to the address of one, or install one here by "
            'pip install "pagefan[server,ocr]".'
        ) from exc


@contextlib.contextmanager
def progress() -> Iterator[OnChange | None]:
    """What shows a job's pages in a notebook or a terminal; None where nobody looks or tqdm is not installed."""
    try:
        tqdm = importlib.import_module("tqdm.auto").tqdm
    except ImportError:
        yield None
        return
    is_seen = "ipykernel" in sys.modules or sys.stderr.isatty()
    with tqdm(unit="page", disable=not is_seen) as bar:

        def show(job: Job) -> None:
            pages = job["pages"]
            bar.set_description(job["name"], refresh=False)
            bar.total, bar.n = pages["total"] or None, round(job["progress"] * pages["total"])
            bar.refresh()

        yield show
