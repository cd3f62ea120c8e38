"""Where results are written: a URL of a storage whose names are filled in, or a signed URL that takes one PUT."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from string import Formatter
from urllib.parse import urlsplit

from workers.net.places import is_storage

NAMES = ("job", "batch", "name", "stem", "format", "suffix", "date")
BY_ITSELF = "{job}/{stem}.{suffix}"  # in a folder, so that no two documents have the same


def check_template(url: str, formats: Sequence[str]) -> str:
    """The template, with names where only a folder was named; raises ValueError for one that cannot be filled in."""
    if not is_storage(url):
        if len(formats) > 1:
            raise ValueError("a signed URL takes one format; name a folder of a storage for several")
        return url
    template = f"{url}{BY_ITSELF}" if url.endswith("/") else url
    names = names_in(template)
    if unknown := names - set(NAMES):
        raise ValueError(f"{{{min(unknown)}}} is none of {', '.join(NAMES)}")
    if not names & {"job", "name", "stem"}:
        raise ValueError("it needs {job}, {stem} or {name}, else documents would be written over one another")
    if len(formats) > 1 and not names & {"format", "suffix"}:
        raise ValueError("it needs {suffix} or {format}, else the formats would be written over one another")
    return template


def names_in(template: str) -> set[str]:
    """What stands in braces; raises ValueError for anything but plain names."""
    try:
        parts = list(Formatter().parse(template))
    except ValueError as exc:
        raise ValueError("its braces cannot be read; write {{ for one that is meant") from exc
    if any(form or conversion for _, _, form, conversion in parts):
        raise ValueError("braces have a name alone, such as {stem}")
    return {name for _, name, _, _ in parts if name is not None}


def fill_in(template: str, values: Mapping[str, str]) -> str:
    return template.format_map(values) if is_storage(template) else template


def without_secret(url: str) -> str:
    """A URL as people may see it: a signed one without its query, which has the signature."""
    if is_storage(url) or "?" not in url:
        return url
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path}?…"
