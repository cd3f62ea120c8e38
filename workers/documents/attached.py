"""Files within a PDF, and forms that are drawn by Adobe's programs alone: what its pages do not show."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from itertools import islice
from typing import Any

from workers.documents.names import clean_name
from workers.light_pymupdf import pymupdf

logger = logging.getLogger(__name__)
mupdf = pymupdf.mupdf

MOST_FOUND = 500  # attached files that are looked for
MOST_PAGES, MOST_NOTES = 1000, 200  # pages that are searched for files pinned to them, and notes on each


def form_warnings(document: Any) -> tuple[str, ...]:
    """A warning where the PDF is a form in XFA, which its pages show in part or not at all."""
    try:
        root = mupdf.pdf_dict_gets(mupdf.pdf_trailer(pdf_of(document)), "Root")
        if mupdf.pdf_is_null(mupdf.pdf_dict_getp(root, "AcroForm/XFA")):
            return ()
        if mupdf.pdf_to_bool(mupdf.pdf_dict_gets(root, "NeedsRendering")):
            words = "The PDF is an XFA form, which only Adobe's programs can draw; its page is a placeholder."
        else:
            words = "The PDF has an XFA form; what was filled in may be missing on its pages."
    except Exception as exc:  # MuPDF has a class for each kind of damage; the pages may be sound
        logger.info("the PDF's catalogue cannot be searched for forms: %s", exc)
        return ()
    return (f"{words} Print it to a new PDF there, and send that.",)


def pdf_of(document: Any) -> Any:
    return mupdf.pdf_document_from_fz_document(document.this)


def find_attached(document: Any) -> list[tuple[str, int]]:
    """Names and stream numbers of the attached files, each stream once, in the order of the file's own list."""
    found: dict[int, str] = {}
    try:
        for spec in islice(file_specs(pdf_of(document), document.page_count), MOST_FOUND):
            streams = (mupdf.pdf_dict_getp(spec, f"EF/{key}") for key in ("UF", "F"))
            if stream := next(filter(mupdf.pdf_is_stream, streams), None):
                found.setdefault(mupdf.pdf_to_num(stream), name_of(spec))
    except MemoryError:
        raise
    except Exception as exc:  # MuPDF has a class for each kind of damage; what was found is told
        logger.info("the PDF cannot be searched for attached files to its end: %s", exc)
    return [(clean_name(name), number) for number, name in found.items()]


def name_of(spec: Any) -> str:
    names = (str(mupdf.pdf_to_text_string(mupdf.pdf_dict_gets(spec, key))) for key in ("UF", "F"))
    return next(filter(None, names), "")


def file_specs(pdf: Any, num_pages: int) -> Iterator[Any]:
    """All file specifications: of the lists of embedded and associated files, then those pinned to pages as notes."""
    tree = mupdf.pdf_load_name_tree(pdf, mupdf.pdf_new_name("EmbeddedFiles"))
    for place in range(mupdf.pdf_dict_len(tree)):
        yield mupdf.pdf_dict_get_val(tree, place)
    associated = mupdf.pdf_dict_gets(mupdf.pdf_dict_gets(mupdf.pdf_trailer(pdf), "Root"), "AF")
    for place in range(mupdf.pdf_array_len(associated)):
        yield mupdf.pdf_array_get(associated, place)
    for index in range(min(num_pages, MOST_PAGES)):
        notes = mupdf.pdf_dict_gets(mupdf.pdf_lookup_page_obj(pdf, index), "Annots")
        for place in range(min(mupdf.pdf_array_len(notes), MOST_NOTES)):
            note = mupdf.pdf_array_get(notes, place)
            if mupdf.pdf_to_name(mupdf.pdf_dict_gets(note, "Subtype")) == "FileAttachment":
                yield mupdf.pdf_dict_gets(note, "FS")
