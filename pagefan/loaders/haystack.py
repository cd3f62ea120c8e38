"""Haystack: `PagefanConverter`, a component that makes documents of files."""

# No `from __future__ import annotations` here: Haystack reads the types of `run` from its signature.
import logging
from pathlib import Path
from typing import Any, Self

from pagefan.answers import ClientError, Options
from pagefan.loaders.pieces import By, Piece, Reading

try:
    from haystack import Document, component, default_from_dict, default_to_dict
    from haystack.components.converters.utils import normalize_metadata
    from haystack.dataclasses import ByteStream
    from haystack.utils import Secret
except ImportError as exc:
    raise ImportError('Haystack is not installed; `pip install "pagefan[haystack]"` brings it.') from exc

logger = logging.getLogger(__name__)


@component
class PagefanConverter:
    """Files and URLs as Haystack's documents.

    `by` is "page", "chunk" or "document"; `options` are those of a job, such as {"pages": "1-3"}. A source that cannot
    be read raises, unless `raise_on_failure` is false: then it is left out, with a warning.
    """

    def __init__(
        self,
        url: str = "",
        api_key: Secret = Secret.from_env_var("PAGEFAN_API_KEY", strict=False),  # noqa: B008 - it is a constant
        by: By = "page",
        options: Options | None = None,
        raise_on_failure: bool = True,
    ) -> None:
        self.url, self.api_key, self.by = url, api_key, by
        self.options: Options = options or {}
        self.raise_on_failure = raise_on_failure
        self._reading = Reading(url=url, api_key=api_key.resolve_value() or "", by=by, options=self.options)

    def to_dict(self) -> dict[str, Any]:
        """For pipelines that are written to YAML; the key stays in the environment."""
        values = {"url": self.url, "by": self.by, "options": self.options, "raise_on_failure": self.raise_on_failure}
        written: dict[str, Any] = default_to_dict(self, api_key=self.api_key.to_dict(), **values)
        return written

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        values = data["init_parameters"]
        if isinstance(values.get("api_key"), dict):
            values["api_key"] = Secret.from_dict(values["api_key"])
        made: Self = default_from_dict(cls, data)
        return made

    @component.output_types(documents=list[Document])
    def run(
        self,
        sources: list[str | Path | ByteStream],
        meta: dict[str, Any] | list[dict[str, Any]] | None = None,
    ) -> dict[str, list[Document]]:
        """The documents of all sources, in their order; `meta` is added to those of its source."""
        documents: list[Document] = []
        for source, more in zip(sources, normalize_metadata(meta, sources_count=len(sources)), strict=True):
            try:
                documents += self._convert(source, more)
            except (OSError, ClientError) as exc:
                if self.raise_on_failure:
                    raise
                logger.warning("%s is left out: %s", source, exc)
        return {"documents": documents}

    def _convert(self, source: str | Path | ByteStream, more: dict[str, Any]) -> list[Document]:
        if isinstance(source, ByteStream):
            name = Path(str(source.meta.get("file_path") or source.meta.get("file_name") or "")).name
            return [as_document(piece, source.meta | more) for piece in self._reading.read(source.data, name)]
        return [as_document(piece, more) for piece in self._reading.read(source)]


def as_document(piece: Piece, more: dict[str, Any]) -> Document:
    return Document(content=piece.text, meta=piece.about | more)
