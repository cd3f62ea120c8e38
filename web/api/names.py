"""Names of documents where they become names of downloads."""

from __future__ import annotations

from urllib.parse import quote

from werkzeug.utils import secure_filename

from workers.documents.names import file_stem


def attachment(name: str, suffix: str, instead: str) -> str:
    """A Content-Disposition (RFC 6266) with the whole name, and one in ASCII for clients that cannot read it."""
    stem = file_stem(name, instead, room=len(f".{suffix}"))
    whole = f"{stem}.{suffix}"
    plain = f"{secure_filename(stem) or instead}.{suffix}"
    extended = f"; filename*=UTF-8''{quote(whole, safe='')}" if whole != plain else ""
    return f"attachment; filename={plain}{extended}"
