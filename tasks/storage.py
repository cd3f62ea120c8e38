"""Documents in the storage that the operator allows by STORAGE: what is a job's there, and who may read it."""

from __future__ import annotations

import threading
from pathlib import Path

from tasks.settings import get_settings
from workers.net import storage
from workers.net.addresses import FetchError
from workers.net.fetch import Fetched
from workers.net.places import find_place, innermost

LISTINGS_AT_ONCE = 4  # of the threads of a web process; a slow storage must not take them all
LISTING_S = 20.0
MOST_DOCUMENTS = 1000  # of a folder or a pattern

_room = threading.BoundedSemaphore(LISTINGS_AT_ONCE)


def check_source(url: str, owner: str) -> None:
    """Raise FetchError unless the owner may have documents read from there."""
    find_place(url, get_settings().places(), owner)


def read_document(url: str, owner: str, path: Path) -> Fetched:
    """Write the document to a file. Raises FetchError."""
    settings = get_settings()
    place = find_place(url, settings.places(), owner)
    max_bytes = settings.max_upload_mb * 2**20
    return storage.read(url, place, path, max_bytes=max_bytes, timeout_s=settings.fetch_timeout_s)


def check_target(url: str, owner: str) -> None:
    """Raise FetchError unless the owner may have results written there."""
    find_place(url, get_settings().places(), owner, write=True)


def write_file(url: str, owner: str, path: Path) -> None:
    """Store a file. Raises FetchError."""
    settings = get_settings()
    place = find_place(url, settings.places(), owner, write=True)
    storage.write(url, place, path, timeout_s=settings.fetch_timeout_s)


def list_documents(url: str, owner: str) -> list[str]:
    """The URLs of the documents that a folder or a pattern names, one at least, sorted. Raises FetchError."""
    places = get_settings().places()
    place = find_place(url, places, owner)
    if not _room.acquire(blocking=False):
        detail = "Other folders are being listed; send it again in a few seconds."
        raise FetchError("busy", detail, is_transient=True)
    try:
        urls = storage.find_documents(url, place, timeout_s=LISTING_S)
    finally:
        _room.release()
    urls = [each for each in urls if innermost(each, places) == place]  # a place within it has rules of its own
    if not urls:
        raise FetchError("fetch_failed", f"There is no document of that name in the storage {place.name}.")
    if len(urls) > MOST_DOCUMENTS:
        raise FetchError("too_large", f"These are {len(urls)} documents, and a request has {MOST_DOCUMENTS} at most.")
    return urls
