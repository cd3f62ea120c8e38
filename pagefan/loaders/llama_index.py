"""LlamaIndex: `PagefanReader` loads documents, alone or for the files of a SimpleDirectoryReader."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO, Unpack, cast

from pagefan.answers import Options
from pagefan.loaders.pieces import By, Piece, Reading
from pagefan.sources import Source

try:
    from llama_index.core.readers.base import BaseReader
    from llama_index.core.schema import Document
except ImportError as exc:
    raise ImportError('LlamaIndex is not installed; `pip install "pagefan[llama-index]"` brings its core.') from exc

NOT_FOR_MODELS = ["job", "num_pages", "is_missing"]  # which say nothing of the text


class PagefanReader(BaseReader):
    """Documents by path or URL, as bytes or open files, as LlamaIndex's documents.

    `by` is "page", "chunk" or "document"; `options` are those of a job, such as `pages="1-3"`.
    """

    def __init__(self, *, url: str = "", api_key: str = "", by: By = "page", **options: Unpack[Options]) -> None:
        self._reading = Reading(url=url, api_key=api_key, by=by, options=options)

    def lazy_load_data(
        self, file: Source, extra_info: dict[str, Any] | None = None, fs: Any = None
    ) -> Iterator[Document]:
        """The document, once all of it has been read; `fs` is a file system of fsspec in which `file` is a path."""
        if fs is None:
            yield from (as_document(piece, extra_info or {}) for piece in self._reading.read(file))
            return
        with fs.open(str(file), "rb") as opened:
            pieces = self._reading.read(cast("BinaryIO", opened), str(file).rpartition("/")[2])
            yield from (as_document(piece, {"source": str(file)} | (extra_info or {})) for piece in pieces)


def as_document(piece: Piece, more: dict[str, Any]) -> Document:
    document = Document(text=piece.text, metadata=piece.about | more)
    document.excluded_embed_metadata_keys = list(NOT_FOR_MODELS)
    document.excluded_llm_metadata_keys = list(NOT_FOR_MODELS)
    return document
