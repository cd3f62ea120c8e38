"""Questions about documents, and values by a schema: what both clients add to `convert`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Protocol, Unpack, cast

from pagefan.answers import Format, Options, ReadOptions, Result
from pagefan.records import Job
from pagefan.sources import Source

OnChange = Callable[[Job], None]
Schema = str | Mapping[str, Any]  # a JSON schema of an object


def schema_text(schema: Schema) -> str:
    return schema if isinstance(schema, str) else json.dumps(schema)


class Converts(Protocol):
    def convert(
        self, source: Source, *, format: Format = "md", on_progress: OnChange | None = None, **options: Unpack[Options]
    ) -> Result: ...


class AsyncConverts(Protocol):
    async def convert(
        self, source: Source, *, format: Format = "md", on_progress: OnChange | None = None, **options: Unpack[Options]
    ) -> Result: ...


class Asking:
    """The part of a client that asks."""

    def ask(
        self: Converts,
        source: Source,
        question: str,
        *,
        on_progress: OnChange | None = None,
        **options: Unpack[ReadOptions],
    ) -> Result:
        """Ask about each page of a document: the answers are the `text` of the result's `pages`.

        With `scope="document"` the document as a whole is asked about: `answer` of the result has `text` and `pages`.
        Raises OSError, and JobFailed when there is no answer.
        """
        asked = cast("Options", {**options, "task": "ask", "question": question})
        return self.convert(source, format="json", on_progress=on_progress, **asked)

    def extract(
        self: Converts,
        source: Source,
        schema: Schema,
        *,
        on_progress: OnChange | None = None,
        **options: Unpack[ReadOptions],
    ) -> Result:
        """Take the values that a JSON schema asks for from each page: `data` and `values` of the result's `pages`.

        With `scope="document"` they are of the document as a whole, in `answer` of the result. Raises OSError, and
        JobFailed when there are none.
        """
        asked = cast("Options", {**options, "task": "extract", "schema": schema_text(schema)})
        return self.convert(source, format="json", on_progress=on_progress, **asked)


class AsyncAsking:
    """The same, awaited."""

    async def ask(
        self: AsyncConverts,
        source: Source,
        question: str,
        *,
        on_progress: OnChange | None = None,
        **options: Unpack[ReadOptions],
    ) -> Result:
        """Ask about each page of a document, or with `scope="document"` about all of it."""
        asked = cast("Options", {**options, "task": "ask", "question": question})
        return await self.convert(source, format="json", on_progress=on_progress, **asked)

    async def extract(
        self: AsyncConverts,
        source: Source,
        schema: Schema,
        *,
        on_progress: OnChange | None = None,
        **options: Unpack[ReadOptions],
    ) -> Result:
        """Take the values that a JSON schema asks for from each page, or with `scope="document"` from all of it."""
        asked = cast("Options", {**options, "task": "extract", "schema": schema_text(schema)})
        return await self.convert(source, format="json", on_progress=on_progress, **asked)
