"""The tables of a document, each whole where it goes on over pages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tasks.assemble.results import iter_page_results
from tasks.ledger.records import Job
from workers.layout.blocks import Block
from workers.results.flow import flow
from workers.results.outline import outline_of, with_outline


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table with its 1-based place in the document, and the page it begins on."""

    number: int
    page_number: int
    block: Block


def iter_tables(job: Job) -> Iterator[Table]:
    outline = outline_of(iter_page_results(job))
    number = 0
    for flowed in flow(with_outline(iter_page_results(job), outline)):
        for item in flowed.items:
            if item.block.kind == "table" and item.block.cells:
                number += 1
                yield Table(number=number, page_number=flowed.page.page_number, block=item.block)
