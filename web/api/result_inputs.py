"""What may be asked of a result: its format, and how it is written."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from web.api.inputs import Input
from workers.results.markdown import MarkdownOptions, PageMarks, Tables
from workers.results.options import DEFAULTS, ResultOptions

ResultFormat = Literal["md", "json", "txt", "html", "docling", "chunks", "hocr", "alto", "docx", "pdf", "zip"]


class ResultQuery(Input):
    format: ResultFormat | None = Field(None, description="Taken from `Accept` when it is left out.")
    partial: bool = Field(False, description="The pages read so far, while the job has not finished.")
    download: bool = Field(False, description="Answer as an attachment with a file name.")
    page_marks: PageMarks = Field(
        "comment", description="Of Markdown: what stands where a page begins; `anchor` is one that links can go to."
    )
    furniture: Literal["drop", "keep"] = Field(
        "drop", description="Of Markdown: running heads and page numbers, which repeat over pages."
    )
    tables: Tables = Field(
        "pipe", description="Of Markdown: `pipe` writes HTML only where cells span several fields, `html` always."
    )

    max_chars: int = Field(
        DEFAULTS.max_chars,
        ge=100,
        le=100_000,
        description="Of `chunks`: most characters of one, but for a whole table.",
    )

    def to_options(self) -> ResultOptions:
        keep = self.furniture == "keep"
        markdown = MarkdownOptions(page_marks=self.page_marks, tables=self.tables, keep_furniture=keep)
        return ResultOptions(markdown=markdown, max_chars=self.max_chars)


class ConvertQuery(Input):
    format: ResultFormat | None = Field(None, description="Taken from `Accept` when it is left out.")
