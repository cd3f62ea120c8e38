"""Files within a PDF and XFA forms: told, and the PDFs and images among the files written out within limits."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from tasks.split import attached_warning
from workers.documents.attachments import INDEX, Attachment, read_index
from workers.documents.kinds import DocumentLimits
from workers.documents.open import inspect_document, save_attached
from workers.light_pymupdf import pymupdf

LIMITS = DocumentLimits()


def picture() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (40, 30), "white").save(out, "png")
    return out.getvalue()


def pdf_bytes(text: str = "attached") -> bytes:
    document = pymupdf.open()
    document.new_page().insert_text((50, 50), text)
    return bytes(document.tobytes())


def make(path: Path, files: dict[str, bytes], pinned: dict[str, bytes] | None = None) -> Path:
    document = pymupdf.open()
    page = document.new_page()
    page.insert_text((50, 50), "See the attached files.")
    for place, (name, data) in enumerate(files.items()):
        document.embfile_add(f"key {place}", data, filename="a.bin", ufilename=name)
    for name, data in (pinned or {}).items():
        page.add_file_annot((100, 100), data, name)
    document.save(path)
    return path


def saved(path: Path, folder: Path, most: int = 10, max_bytes: int = 10**6, max_total: int = 10**7) -> list[Attachment]:
    folder.mkdir(exist_ok=True)
    save_attached(path, folder, most=most, max_bytes=max_bytes, max_total=max_total)
    return read_index(folder)


def test_files_within_a_pdf_are_told_by_their_names(tmp_path: Path) -> None:
    path = make(tmp_path / "a.pdf", {"Отчёт\u202e.pdf": pdf_bytes(), "b.xlsx": b"PK"}, {"c.png": picture()})
    info = inspect_document(path, limits=LIMITS)
    assert info.attached == ("Отчёт.pdf", "b.xlsx", "c.png")
    assert info.warnings == ()


def test_a_file_that_two_names_lead_to_is_told_once(tmp_path: Path) -> None:
    document = pymupdf.open(make(tmp_path / "a.pdf", {}, {"a.pdf": pdf_bytes()}))
    notes = document.xref_get_key(document.page_xref(0), "Annots")[1]
    note = notes.strip("[] ")
    document.xref_set_key(document.page_xref(0), "Annots", f"[{note} {note}]")
    document.save(tmp_path / "b.pdf")
    assert inspect_document(tmp_path / "b.pdf", limits=LIMITS).attached == ("a.pdf",)


def test_files_associated_with_a_pdf_are_told(tmp_path: Path) -> None:
    document = pymupdf.open()
    document.new_page()
    stream, spec = document.get_new_xref(), document.get_new_xref()
    document.update_object(stream, "<</Type/EmbeddedFile>>")
    document.update_stream(stream, picture())
    document.update_object(spec, f"<</Type/Filespec/UF(scan.png)/EF<</F {stream} 0 R>>>>")
    document.xref_set_key(document.pdf_catalog(), "AF", f"[{spec} 0 R]")
    document.save(tmp_path / "a.pdf")
    assert inspect_document(tmp_path / "a.pdf", limits=LIMITS).attached == ("scan.png",)


def test_warning_names_a_few_files() -> None:
    assert attached_warning(()) == ()
    assert "A file is attached to the PDF and not read: a.pdf." in attached_warning(["a.pdf"])[0]
    [words] = attached_warning([f"{number}.pdf" for number in range(9)])
    assert "9 files are" in words
    assert "4.pdf, …" in words


@pytest.mark.parametrize(("needs_rendering", "words"), [(True, "placeholder"), (False, "may be missing")])
def test_xfa_form_has_a_warning(tmp_path: Path, needs_rendering: bool, words: str) -> None:
    document = pymupdf.open()
    document.new_page().insert_text((50, 50), "Please wait...")
    xref = document.get_new_xref()
    document.update_object(xref, "<<>>")
    document.update_stream(xref, b"<xdp/>")
    document.xref_set_key(document.pdf_catalog(), "AcroForm", f"<</Fields[]/XFA {xref} 0 R>>")
    if needs_rendering:
        document.xref_set_key(document.pdf_catalog(), "NeedsRendering", "true")
    document.save(tmp_path / "a.pdf")
    [warning] = inspect_document(tmp_path / "a.pdf", limits=LIMITS).warnings
    assert words in warning


def test_plain_form_and_plain_pdf_have_no_warning(tmp_path: Path) -> None:
    document = pymupdf.open()
    field = pymupdf.Widget()
    field.field_type, field.field_name, field.rect = pymupdf.PDF_WIDGET_TYPE_TEXT, "name", pymupdf.Rect(50, 50, 200, 80)
    document.new_page().add_widget(field)
    document.save(tmp_path / "a.pdf")
    info = inspect_document(tmp_path / "a.pdf", limits=LIMITS)
    assert (info.warnings, info.attached) == ((), ())


def test_pdfs_and_images_are_written_and_the_rest_says_why_not(tmp_path: Path) -> None:
    files = {"a.pdf": pdf_bytes(), "b.xlsx": b"PK\3\4", "empty.pdf": b"", "d.txt": b"plain"}
    path = make(tmp_path / "a.pdf", files, {"c.png": picture()})
    found = saved(path, tmp_path / "out")
    assert [(one.number, one.name, one.kind) for one in found] == [
        (1, "a.pdf", "pdf"),
        (2, "b.xlsx", ""),
        (3, "empty.pdf", ""),
        (4, "d.txt", ""),
        (5, "c.png", "png"),
    ]
    assert {one.fault for one in found if not one.kind} == {"neither a PDF nor an image"}
    assert (tmp_path / "out" / "1").read_bytes() == files["a.pdf"]
    assert (tmp_path / "out" / "5").read_bytes() == picture()
    assert sorted(entry.name for entry in (tmp_path / "out").iterdir()) == ["1", "5", INDEX]


def test_limits_of_number_and_size_hold(tmp_path: Path) -> None:
    large = pdf_bytes() + b" " * 50_000
    path = make(tmp_path / "a.pdf", {"large.pdf": large, "b.png": picture(), "c.png": picture(), "d.png": picture()})
    found = saved(path, tmp_path / "out", most=2, max_bytes=40_000)
    assert [(one.kind, one.fault) for one in found] == [
        ("", "too large"),
        ("png", ""),
        ("png", ""),
        ("", "there are too many"),
    ]
    found = saved(path, tmp_path / "more", max_total=len(large) + len(picture()))
    assert [one.kind for one in found] == ["pdf", "png", "", ""]


def test_a_line_that_was_not_finished_is_none(tmp_path: Path) -> None:
    assert read_index(tmp_path) == []
    (tmp_path / INDEX).write_text('{"number": 1, "name": "a.pdf", "kind": "pdf", "fault": ""}\n{"number": 2, "na')
    assert [one.number for one in read_index(tmp_path)] == [1]


@pytest.mark.parametrize("place", range(0, 1400, 97))
def test_damage_never_raises_what_nobody_expects(tmp_path: Path, place: int) -> None:
    path = make(tmp_path / "a.pdf", {"a.pdf": pdf_bytes()}, {"b.png": picture()})
    data = bytearray(path.read_bytes())
    data[place : place + 40] = b"\xff" * 40
    path.write_bytes(data)
    try:
        inspect_document(path, limits=LIMITS)
        saved(path, tmp_path / "out")
    except Exception as exc:
        assert type(exc).__name__ == "DocumentError"
