"""The parser plugin of paperless-ngx, called in the order in which its consumer calls a parser.

paperless-ngx is no package that can be installed here. What a plugin takes from it stands in below.
"""

from __future__ import annotations

import sys
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from stand_in import reading, refusing
from web_service import WebService

from pagefan import Client
from pagefan.loaders.paperless import PagefanParser

MIME = "application/pdf"
ASKED_OF_A_PARSER = (
    "supported_mime_types", "score", "can_produce_archive", "requires_pdf_rendition", "configure", "parse", "get_text",
    "get_date", "get_archive_path", "get_thumbnail", "get_page_count", "extract_metadata", "__enter__", "__exit__",
    "name", "version", "author", "url",
)  # fmt: skip


class ParseError(Exception):
    pass


def make_thumbnail(path: Path, folder: Path, _group: object) -> Path:
    made = folder / "convert.webp"
    made.write_bytes(path.read_bytes()[:4])
    return made


def download(_client: Client, _job: str, _format: str, path: Path) -> Path:
    """In place of the searchable PDF, which a worker makes."""
    path.write_bytes(b"%PDF")
    return path


@pytest.fixture(autouse=True)
def paperless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The modules of paperless-ngx that the plugin imports; gives its scratch folder."""
    scratch = tmp_path / "scratch"
    members: dict[str, dict[str, Any]] = {
        "django.conf": {"settings": SimpleNamespace(SCRATCH_DIR=scratch)},
        "documents.parsers": {"ParseError": ParseError, "make_thumbnail_from_pdf": make_thumbnail},
        "paperless.parsers.utils": {
            "get_page_count_for_pdf": lambda _path, log: 3 if log else None,
            "extract_pdf_metadata": lambda _path, log: [{"key": "Author"}] if log else [],
        },
    }
    for name, values in members.items():
        parts = name.split(".")
        for end in range(1, len(parts)):
            monkeypatch.setitem(sys.modules, ".".join(parts[:end]), ModuleType(".".join(parts[:end])))
        module = ModuleType(name)
        vars(module).update(values)
        monkeypatch.setitem(sys.modules, name, module)
    return scratch


@pytest.fixture
def server(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGEFAN_URL", url)


def test_paperless_finds_it_by_its_entry_point() -> None:
    [found] = entry_points(group="paperless_ngx.parsers")
    assert found.load() is PagefanParser
    assert all(hasattr(PagefanParser, name) for name in ASKED_OF_A_PARSER)


def test_it_comes_before_the_parsers_of_paperless_where_a_server_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PAGEFAN_URL", raising=False)
    assert PagefanParser.score(MIME, "a.pdf") is None
    monkeypatch.setenv("PAGEFAN_URL", "http://127.0.0.1:8000")
    assert (PagefanParser.score(MIME, "a.pdf", Path("a.pdf")) or 0) > 20
    assert PagefanParser.score("message/rfc822", "a.eml") is None


@pytest.mark.usefixtures("server")
def test_document_is_consumed(
    web: WebService, document: Path, paperless: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Client, "download", download)
    with reading(web), PagefanParser() as parser:
        parser.configure(SimpleNamespace(mailrule_id=None))
        assert parser.can_produce_archive
        parser.parse(document, MIME, produce_archive=True)
        thumbnail = parser.get_thumbnail(document, MIME)
        assert parser.get_text() == "page 1\n\npage 2\n\npage 3"
        assert parser.get_date() is None
        archive = parser.get_archive_path()
        assert archive and archive.read_bytes() == b"%PDF"
        assert thumbnail.parent == archive.parent
        assert thumbnail.parent.parent == paperless
        assert parser.get_page_count(document, MIME) == 3
    assert list(paperless.iterdir()) == []


@pytest.mark.usefixtures("server")
def test_no_archive_is_made_where_none_is_wanted(web: WebService, document: Path) -> None:
    with reading(web), PagefanParser(logging_group="a") as parser:
        parser.parse(document, MIME, produce_archive=False)
        assert parser.get_archive_path() is None
        assert parser.get_thumbnail(document, MIME).read_bytes() == b"%PDF"  # of the original


@pytest.mark.usefixtures("server")
def test_failure_is_the_error_that_paperless_shows(web: WebService, document: Path, paperless: Path) -> None:
    with refusing(web), pytest.raises(ParseError, match=r"Pagefan: The file is damaged\."), PagefanParser() as parser:
        parser.parse(document, MIME)
    assert list(paperless.iterdir()) == []


def test_metadata_are_asked_for_without_a_document_being_read() -> None:
    with PagefanParser() as parser:
        assert parser.extract_metadata(Path("a.pdf"), MIME) == [{"key": "Author"}]
        assert parser.extract_metadata(Path("a.png"), "image/png") == []
        assert parser.get_page_count(Path("a.png"), "image/png") is None
