"""Forms that say what is wrong with them: Werkzeug gives an empty form for one that breaks off, and people a riddle."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from itertools import chain
from typing import IO, Any
from urllib.parse import unquote_to_bytes

from werkzeug.datastructures import FileStorage, Headers, MultiDict
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.formparser import FormDataParser, MultiPartParser
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder, NeedData

from web.api.problems import Problem

QUOTED = re.compile(r'"(?:[^"\\]|\\.)*+"')
# RFC 5987, 3.2: ext-value. Werkzeug knows three of the charsets and leaves a name in another one encoded.
EXTENDED = re.compile(r";[ \t]*filename\*[ \t]*=[ \t]*([\w.-]{1,20})'[\w-]*'([^;\s]*)", re.IGNORECASE)
CHARSETS = re.compile(
    r"utf-?8|(us-)?ascii|iso-8859-\d{1,2}|windows-125\d|koi8-[ru]|gbk|gb2312|gb18030|big5|euc-(jp|kr)|shift_jis",
    re.IGNORECASE,
)
BREAKS_OFF = "The form breaks off: its closing boundary never came. Nothing of it was taken; send it again, whole."
NO_FORM = "The form cannot be read: {}. Nothing of it was taken; let a library make multipart/form-data."


class FormReader(FormDataParser):
    """Reads a form to its end or raises Problem; see `BoundedRequest`."""

    def parse(
        self, stream: IO[bytes], mimetype: str, content_length: int | None, options: dict[str, str] | None = None
    ) -> tuple[IO[bytes], MultiDict[str, str], MultiDict[str, FileStorage]]:
        if mimetype == "multipart/form-data":
            boundary = (options or {}).get("boundary", "")
            if not boundary or not boundary.isascii():
                raise Problem("bad-request", NO_FORM.format("its Content-Type names no boundary"))
            parts = PartsReader(
                self.stream_factory, self.max_form_memory_size, self.cls, max_form_parts=self.max_form_parts
            )
            return stream, *parts.parse(stream, boundary.encode(), content_length)
        self.silent = False
        try:
            return super().parse(stream, mimetype, content_length, options)
        except ValueError as exc:
            raise Problem("bad-request", "The form's text is not UTF-8; send it in UTF-8.") from exc


class PartsReader(MultiPartParser):
    """The parts of a multipart form: files where the stream factory wants them, text within one limit for all of it."""

    def parse(
        self, stream: IO[bytes], boundary: bytes, content_length: int | None
    ) -> tuple[MultiDict[str, str], MultiDict[str, FileStorage]]:
        decoder = PatientDecoder(boundary, self.max_form_memory_size, max_parts=self.max_form_parts)
        fields, files = [], []
        try:
            for part, content in self.parts(decoder, stream, content_length):
                if part.name is None:
                    raise ValueError("no name")
                if isinstance(part, File):
                    content.seek(0)
                    files.append((part.name, FileStorage(content, name_of(part), part.name, headers=part.headers)))
                else:
                    fields.append((part.name, content.decode(self.get_part_charset(part.headers), "replace")))
        except ValueError as exc:
            words = (
                BREAKS_OFF
                if decoder.complete
                else NO_FORM.format("a part of it has no Content-Disposition with a name")
            )
            raise Problem("bad-request", words) from exc
        return self.cls(fields), self.cls(files)

    def parts(
        self, decoder: MultipartDecoder, stream: IO[bytes], content_length: int | None
    ) -> Iterator[tuple[File | Field, Any]]:
        """Each part with its content, a file or bytes. Raises ValueError for what is no whole form."""
        part: Any = None
        content: Any = None
        room = self.max_form_memory_size or 0
        for chunk in chain(iter(partial(stream.read, self.buffer_size), b""), [None]):
            decoder.receive_data(chunk)
            while not isinstance(event := decoder.next_event(), NeedData | Epilogue):
                if isinstance(event, File):
                    part, content = event, self.start_file_streaming(event, content_length)
                elif isinstance(event, Field):
                    part, content = event, bytearray()
                elif isinstance(event, Data):
                    if isinstance(part, File):
                        content.write(event.data)
                    else:
                        content += event.data
                        room -= len(event.data)
                        if room < 0:
                            raise RequestEntityTooLarge
                    if not event.more_data:
                        yield part, content


class PatientDecoder(MultipartDecoder):
    """Takes heads of parts in another encoding than UTF-8, as old clients send them; Werkzeug gives the form up."""

    def _parse_headers(self, data: bytes | bytearray) -> Headers:
        return super()._parse_headers(b"\n".join(as_utf8(line) for line in bytes(data).splitlines()))


def as_utf8(line: bytes) -> bytes:
    """A line that is no UTF-8 is taken for Windows' Western encoding, or Latin-1, which can be anything."""
    try:
        line.decode()
    except UnicodeDecodeError:
        try:
            return line.decode("cp1252").encode()
        except UnicodeDecodeError:
            return line.decode("latin-1").encode()
    return line


def name_of(part: File) -> str:
    """The file's name: that of `filename*` where there are two (RFC 6266, 4.3)."""
    found = EXTENDED.search(QUOTED.sub('""', part.headers.get("content-disposition", "")))
    if found and CHARSETS.fullmatch(found[1]):
        try:
            return unquote_to_bytes(found[2]).decode(found[1], "replace")
        except LookupError:  # ISO 8859 has no part 12
            pass
    return part.filename
