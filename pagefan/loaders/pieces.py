"""What all loaders share: a server reads a document, which comes whole, in pages, or in chunks for retrieval."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from pagefan.answers import ENDED, Format, Options, Result
from pagefan.client import Client
from pagefan.paged import split_pages
from pagefan.records import Job
from pagefan.sources import Source

By = Literal["document", "page", "chunk"]
Values = dict[str, Any]

FORMATS: dict[By, Format] = {"document": "md", "page": "md", "chunk": "chunks"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Some of a document's text; `about` has plain values only, as vector stores take them."""

    text: str
    about: Values


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Where and how documents are read; an empty URL or key is taken from PAGEFAN_URL or PAGEFAN_API_KEY."""

    url: str = ""
    api_key: str = field(default="", repr=False)
    by: By = "page"
    options: Options = field(default_factory=Options)

    def __post_init__(self) -> None:
        if self.by not in FORMATS:
            raise ValueError(f"by={self.by!r}: it is one of {', '.join(FORMATS)}")

    def connect(self) -> Client:
        url = self.url or os.environ.get("PAGEFAN_URL") or "http://127.0.0.1:8000"
        return Client(url, self.api_key or os.environ.get("PAGEFAN_API_KEY", ""))

    def read(self, source: Source, name: str = "") -> Iterator[Piece]:
        """The pieces of a document, once all of it has been read. Raises OSError, ClientError and JobFailed."""
        with self.connect() as client, reading(client, source, name, self.options) as job:
            result = client.fetch(job, FORMATS[self.by])
        about: Values = {"source": str(source) if isinstance(source, str | os.PathLike) else result.job["name"]}
        about |= {"job": result.job["id"], "num_pages": result.job["num_pages"]}
        yield from PIECES[self.by](result, about)


@contextmanager
def reading(client: Client, source: Source, name: str, options: Options) -> Iterator[Job]:
    """The document's job, which has ended; it is cancelled where nobody waits for its end."""
    job = client.submit(source, name=name, **options)
    try:
        job = client.wait(job["id"])
        yield job
    finally:
        if job["state"] not in ENDED:
            client.cancel(job["id"])


def whole(result: Result, about: Values) -> Iterator[Piece]:
    missing = ",".join(map(str, result.missing_pages))
    yield Piece(text=result.text, about=about | ({"missing_pages": missing} if missing else {}))


def pages(result: Result, about: Values) -> Iterator[Piece]:
    """A page without text says why; one that is blank is left out."""
    missing = set(result.missing_pages)
    for number, text in split_pages(result.text).items():
        if text:
            yield Piece(text=text, about=about | {"page_number": number, "is_missing": number in missing})


def chunks(result: Result, about: Values) -> Iterator[Piece]:
    for line in result.text.split("\n"):
        if line:
            chunk = json.loads(line)
            place = {"page_number": chunk["pages"][0], "pages": ",".join(map(str, chunk["pages"]))}
            yield Piece(text=chunk["text"], about=about | place | {"headings": " > ".join(chunk["headings"])})


PIECES: dict[By, Callable[[Result, Values], Iterator[Piece]]] = {"document": whole, "page": pages, "chunk": chunks}
