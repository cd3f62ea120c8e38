"""Loaders for other frameworks, each driven by the framework's real package against the real web application."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import fsspec
import pytest
from haystack import Document as HaystackDocument
from haystack import Pipeline, component
from haystack.dataclasses import ByteStream
from haystack.utils import Secret
from langchain_core.document_loaders import BaseLoader, Blob
from llama_index.core import SimpleDirectoryReader
from llama_index.core.schema import MetadataMode
from stand_in import reading, refusing
from web_service import PDF, WebService, served, web_service

from pagefan import JobFailed, Refused
from pagefan.loaders.haystack import PagefanConverter
from pagefan.loaders.langchain import PagefanLoader, PagefanParser
from pagefan.loaders.llama_index import PagefanReader
from pagefan.loaders.pieces import Reading
from pagefan.loaders.pieces import reading as reading_job

ROOT = Path(__file__).parents[1]
PAGES = ["page 1", "page 2", "page 3"]


@pytest.fixture(autouse=True)
def server(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGEFAN_URL", url)
    monkeypatch.setenv("HAYSTACK_TELEMETRY_ENABLED", "False")


def texts(documents: list[Any], name: str) -> list[str]:
    return [getattr(document, name) for document in documents]


def test_langchain_loads_a_document_a_page(web: WebService, document: Path) -> None:
    loader = PagefanLoader(document)
    assert isinstance(loader, BaseLoader)
    with reading(web):
        documents = loader.load()
    assert texts(documents, "page_content") == PAGES
    [job] = web.ledger.jobs()
    about = {"source": str(document), "job": job.id, "num_pages": 3, "page_number": 2, "is_missing": False}
    assert documents[1].metadata == about
    assert all(isinstance(value, str | int) for value in documents[1].metadata.values())  # all that vector stores take


def test_langchain_loads_several_sources_whole_with_options(web: WebService, document: Path) -> None:
    with reading(web, failed=(2,)):
        documents = PagefanLoader([str(document), document], by="document", pages="1-3", priority="low").load()
    assert len(documents) == 2
    assert documents[0].metadata["missing_pages"] == "2"
    assert {job.options.pages for job in web.ledger.jobs()} == {"1-3"}


def test_page_that_could_not_be_read_says_so(web: WebService) -> None:
    with reading(web, failed=(2,)):
        documents = PagefanLoader(io.BytesIO(PDF)).load()
    assert [document.metadata["is_missing"] for document in documents] == [False, True, False]
    assert "It took longer than the server allows" in documents[1].page_content


def test_langchain_parses_the_blobs_of_another_loader(web: WebService, document: Path) -> None:
    blob = Blob.from_path(document, metadata={"owner": "me"})
    with reading(web):
        documents = PagefanParser(by="chunk").parse(blob)
    assert documents[0].page_content == "page 1 page 2 page 3"
    assert documents[0].metadata["owner"] == "me"
    assert (documents[0].metadata["source"], documents[0].metadata["pages"]) == (str(document), "1,2,3")
    [job] = web.ledger.jobs()
    assert job.name == "report.pdf"


def test_llama_index_reads_a_folder(web: WebService, document: Path) -> None:
    folder = SimpleDirectoryReader(
        input_files=[document], file_extractor={".pdf": PagefanReader()}, raise_on_error=True
    )
    with reading(web):
        documents = folder.load_data()
    assert texts(documents, "text") == PAGES
    assert documents[2].metadata["page_number"] == 3
    assert documents[2].metadata["file_name"] == "report.pdf"
    shown = documents[2].get_content(MetadataMode.EMBED)
    assert "page_number: 3" in shown
    assert "job" not in shown


def test_llama_index_reads_from_another_file_system(web: WebService) -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe("/folder/report.pdf", PDF)
    with reading(web):
        documents = PagefanReader(by="document").load_data("/folder/report.pdf", fs=memory)
    assert "page 3" in documents[0].text
    assert documents[0].metadata["source"] == "/folder/report.pdf"
    assert web.ledger.jobs()[0].name == "report.pdf"


@component
class Counter:
    @component.output_types(count=int)
    def run(self, documents: list[HaystackDocument]) -> dict[str, int]:
        return {"count": len(documents)}


def pipeline() -> Pipeline:
    made = Pipeline()
    made.add_component("converter", PagefanConverter(api_key=Secret.from_env_var("PAGEFAN_API_KEY", strict=False)))
    made.add_component("counter", Counter())
    made.connect("converter.documents", "counter.documents")
    return made


def test_haystack_converts_in_a_pipeline_that_was_written_and_read_again(web: WebService, document: Path) -> None:
    again = Pipeline.loads(pipeline().dumps(), allowed_modules=["pagefan.loaders.haystack", __name__])
    with reading(web):
        found = again.run(
            {"converter": {"sources": [document, ByteStream(PDF, meta={"file_path": "/a/b.pdf"})], "meta": {"k": "v"}}},
            include_outputs_from={"converter"},
        )
    documents = found["converter"]["documents"]
    assert found["counter"]["count"] == 6
    assert texts(documents, "content") == PAGES * 2
    assert documents[0].meta["k"] == "v"
    assert documents[5].meta["file_path"] == "/a/b.pdf"
    assert sorted(job.name for job in web.ledger.jobs()) == ["b.pdf", "report.pdf"]


def test_haystack_leaves_out_what_cannot_be_read_only_where_that_is_wanted(
    web: WebService, document: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sources = [document, tmp_path / "missing.pdf"]
    with refusing(web):
        assert PagefanConverter(raise_on_failure=False).run(sources=sources) == {"documents": []}
        with pytest.raises(JobFailed, match="damaged"):
            PagefanConverter().run(sources=[document])
    assert "missing.pdf is left out" in caplog.text


def test_key_is_sent_and_shown_nowhere(
    redis_url: str, tmp_path: Path, document: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with web_service(redis_url, tmp_path, monkeypatch, api_keys="alpha") as keyed, served(keyed) as url:
        with pytest.raises(Refused, match="A key is needed"):
            list(Reading(url=url).read(document))
        converter = PagefanConverter(url=url, api_key=Secret.from_token("alpha"))
        with reading(keyed):
            assert len(PagefanLoader(document, url=url, api_key="alpha").load()) == 3
            assert len(converter.run(sources=[document])["documents"]) == 3
    assert "alpha" not in repr(Reading(api_key="alpha"))
    with pytest.raises(ValueError, match="token-based"):
        converter.to_dict()


def test_piece_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match=r"by='line': it is one of document, page, chunk"):
        Reading(by="line")  # type: ignore[arg-type]


def samples() -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "loaders.md").read_text(), re.DOTALL)


@pytest.mark.parametrize("code", samples())
def test_samples_of_the_documentation_run(
    code: str, web: WebService, document: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(document.parent)
    with reading(web):
        exec(code, {})
    said = capsys.readouterr().out
    assert any(words in said for words in ("1  page 1 page 2", "3 1", "[1, 2, 3]"))


def test_job_that_nobody_waits_for_any_more_is_cancelled(web: WebService, document: Path) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    with Reading().connect() as client:
        client.wait = interrupt  # type: ignore[method-assign, assignment]
        with pytest.raises(KeyboardInterrupt), reading_job(client, document, "", {}):
            pass
    assert web.ledger.jobs()[0].was_cancelled


def test_framework_that_is_missing_is_named_with_its_extra() -> None:
    script = (
        "import sys, importlib\n"
        "for name in ('langchain_core', 'llama_index', 'haystack'): sys.modules[name] = None\n"
        "for name in ('langchain', 'llama_index', 'haystack'):\n"
        "    try: importlib.import_module(f'pagefan.loaders.{name}')\n"
        "    except ImportError as error: print(error)\n"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    for extra in ("langchain", "llama-index", "haystack"):
        assert f'pip install "pagefan[{extra}]"' in said


def test_client_alone_loads_no_framework() -> None:
    script = (
        "import sys, pagefan, pagefan.loaders.pieces, pagefan.loaders.paperless\n"
        "print([name for name in ('langchain_core', 'llama_index', 'haystack', 'django') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout == "[]\n"
