"""JSON bodies in which files stand as base64. A file goes to disk as it comes; what is left of the body is small."""

from __future__ import annotations

import base64
import binascii
import io
import json
import re
import secrets
from dataclasses import dataclass
from typing import IO, Any, cast
from urllib.parse import unquote

from flask import request
from werkzeug.datastructures import FileStorage

from web.api.bodies import JSON_BYTES, BoundedRequest, check_json, too_large
from web.api.problems import Problem

CHUNK = 64 * 1024
LONG = 32 * 1024  # characters; a longer string is taken for a file
MOST_FILES = 8
ESCAPE = 6  # characters of the longest escape
STRING = re.compile(rb'(?:[^"\\]++|\\u[0-9a-fA-F]{4}|\\[^u])*+')
DATA_URI = re.compile(r"data:[^,]{0,200};base64,", re.IGNORECASE)


@dataclass(kw_only=True)
class Payload:
    """A JSON object, and the files that stood in it by the words that stand there instead."""

    data: dict[str, Any]
    files: dict[str, IO[bytes]]

    def document(self, value: str, name: str = "") -> FileStorage:
        """The file that this string of the object is: base64, or a data URI of it. Raises Problem."""
        file = self.files.get(value)
        if file is None:
            decoder = Base64(open_file())
            decoder.add(value)
            file = decoder.end()
        return FileStorage(stream=file, filename=unquote(name))


class Base64:
    """Writes to a file what comes as base64, with or without the head of a data URI."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._left, self._is_begun = file, "", False

    def add(self, text: str) -> None:
        if not self._is_begun:
            self._is_begun = True
            text = text.removeprefix(head[0]) if (head := DATA_URI.match(text)) else text
        text = self._left + "".join(text.split())
        whole = len(text) - len(text) % 4
        self._left = text[whole:]
        self._write(text[:whole])

    def end(self) -> IO[bytes]:
        self._write(self._left + "=" * (-len(self._left) % 4))
        self._file.seek(0)
        return self._file

    def _write(self, text: str) -> None:
        try:
            self._file.write(base64.b64decode(text, validate=True))
        except (binascii.Error, ValueError) as exc:
            raise Problem("damaged-file", "The file in the JSON is not base64.") from exc


def open_file() -> IO[bytes]:
    return cast("BoundedRequest", request).open_file()


def read_payload() -> Payload:
    """The request's body, which has to be a JSON object. Raises Problem."""
    if request.mimetype != "application/json":
        raise Problem("unsupported-media-type")
    splitter = Splitter()
    while chunk := request.stream.read(CHUNK):
        splitter.add(chunk)
    kept = splitter.kept.getvalue()
    check_json(kept)
    try:
        data = json.loads(kept)
    except (ValueError, RecursionError) as exc:
        raise Problem("bad-request", "The body is no JSON.") from exc
    if not isinstance(data, dict):
        raise Problem("bad-request", "The body has to be a JSON object.")
    return Payload(data=data, files=splitter.files)


class Splitter:
    """Divides JSON, as it comes, into `files`, which its long strings are, and `kept`, with a word in place of each."""

    def __init__(self) -> None:
        self.kept = io.BytesIO()
        self.files: dict[str, IO[bytes]] = {}
        self._buffer = b""
        self._in_string = False
        self._file: Base64 | None = None  # of the string that has begun

    def add(self, chunk: bytes) -> None:
        self._buffer += chunk
        while self._take_string() if self._in_string else self._take_other():
            pass
        if self.kept.tell() > JSON_BYTES:
            raise too_large(JSON_BYTES)

    def _take_other(self) -> bool:
        """Take what stands before the next string; whether there is one."""
        before, mark, self._buffer = self._buffer.partition(b'"')
        self.kept.write(before + mark)
        self._in_string = bool(mark)
        return self._in_string

    def _take_string(self) -> bool:
        """Take the string, or what has come of it if that is long; whether it has ended."""
        end = cast("re.Match[bytes]", STRING.match(self._buffer)).end()
        text, rest = self._buffer[:end], self._buffer[end:]
        has_ended = rest.startswith(b'"')
        if not has_ended and len(rest) >= ESCAPE:
            raise Problem("bad-request", "The body is no JSON: a string in it has an escape that there is not.")
        if self._file is None and end > LONG:
            self._file = Base64(open_file())
        if self._file is not None:
            self._file.add(text_of(text))
            self._buffer = rest
        if has_ended:
            self.kept.write((self._end_file(self._file) if self._file else text) + b'"')
            self._buffer, self._in_string, self._file = rest[1:], False, None
        return has_ended

    def _end_file(self, file: Base64) -> bytes:
        if len(self.files) >= MOST_FILES:
            raise Problem("too-many-parts", f"JSON may carry {MOST_FILES} files at most.")
        word = secrets.token_hex(16)
        self.files[word] = file.end()
        return word.encode()


def text_of(escaped: bytes) -> str:
    """The text of a part of a JSON string that does not end within an escape."""
    try:
        return cast("str", json.loads(b'"' + escaped + b'"', strict=False))
    except ValueError as exc:
        raise Problem("bad-request", "The body is no JSON.") from exc
