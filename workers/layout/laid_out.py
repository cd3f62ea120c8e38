"""The layout of a page as others ask for it: what runs in the sandbox, and what it gives. The web loads it too."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from workers.layout.blocks import PageLayout


def lay_out_pdf_page(*arguments: Any, **named: Any) -> PageLayout:
    """By a PDF's own text; see `work`, loaded here."""
    found: PageLayout = import_module("workers.layout.work").lay_out_pdf_page(*arguments, **named)
    return found


def lay_out_lines(*arguments: Any, **named: Any) -> PageLayout:
    """By the lines that were read on an image; see `work`, loaded here."""
    found: PageLayout = import_module("workers.layout.work").lay_out_lines(*arguments, **named)
    return found


def lay_out_both(*arguments: Any, **named: Any) -> PageLayout:
    """By a PDF's own text and by what was read where it has none; see `work`, loaded here."""
    found: PageLayout = import_module("workers.layout.work").lay_out_both(*arguments, **named)
    return found


def lay_out_plainly(*arguments: Any, **named: Any) -> PageLayout:
    """By the distances of lines alone; see `work`, loaded here."""
    found: PageLayout = import_module("workers.layout.work").lay_out_plainly(*arguments, **named)
    return found


def warm_up_layout() -> None:
    """Load the models and use them once, so that the first page does not wait; for `workers.sandbox`."""
    import_module("workers.layout.pages").warm_up()
