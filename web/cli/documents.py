"""What is a document, by its name, among what people name on the command line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from pagefan.sources import is_url
from workers.documents.kinds import SUFFIXES

STDIN = "-"  # standard input, as programs that read files name it


def find_documents(sources: Iterable[str]) -> Iterator[Path | str]:
    """What `sources` name: files themselves, documents in folders and below, URLs, which the server fetches, and -."""
    for source in sources:
        if is_url(source) or source == STDIN:
            yield source
        elif Path(source).is_dir():
            below = (path for path in Path(source).rglob("*") if path.suffix.lower() in SUFFIXES)
            yield from sorted(path for path in below if path.is_file())
        else:
            yield Path(source)
