"""The formats of results: what each is called in HTTP, and what a file of it ends in."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Format:
    """`suffix` has no dot before it; `is_text` is whether people can read it in a terminal."""

    mimetype: str
    suffix: str
    is_text: bool = True


WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"

FORMATS: dict[str, Format] = {
    "md": Format("text/markdown", "md"),
    "json": Format("application/json", "json"),
    "txt": Format("text/plain", "txt"),
    "html": Format("text/html", "html"),
    "docling": Format("application/vnd.docling+json", "docling.json"),
    "chunks": Format("application/x-ndjson", "chunks.jsonl"),
    "hocr": Format("text/vnd.hocr+html", "hocr"),
    "alto": Format("application/alto+xml", "alto.xml"),
    "docx": Format(WORD, "docx", is_text=False),
    "pdf": Format("application/pdf", "pdf", is_text=False),
    "zip": Format("application/zip", "zip", is_text=False),
}
