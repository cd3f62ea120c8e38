"""docling-serve's chunkers: our own chunks, as its clients know them."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from stand_in import Worker, reading, refusing
from test_web_compat_docling import file_source, post_file, post_source
from web_service import WebService, body_of, check_problem, page

from tasks.page_end import save_text
from web.compat.docling_chunk_answers import headings_above
from web.compat.docling_orders import ChunkOrder
from workers.layout.blocks import Block, BlockKind, PageLayout

ROOT = "/v1/chunk"
SENTENCE = "The lamp burns all night, and in the morning it is put out. "


def block(kind: BlockKind, text: str, top: float, level: int = 0) -> Block:
    return Block(kind=kind, text=text, box=(10.0, top, 500.0, top + 20), level=level, markup="markdown")


BLOCKS = (
    block("heading", "Lamps", 10, 1),
    block("paragraph", SENTENCE * 5, 40),
    block("list_item", "oil", 80),
    block("list_item", "wick", 110),
    block("heading", "Ships", 140, 2),
    block("paragraph", SENTENCE * 5, 170),
)


def reading_lamps(web: WebService) -> Worker:
    def work(job_id: str) -> None:
        web.ledger.open_first_run(job_id, num_pages=1, selection="1", size=1)
        text = "\n".join(each.text for each in BLOCKS)
        found = PageLayout(lines=(), blocks=BLOCKS)
        save_text(page(job_id, 1), text, engine="echo", seconds=0.5, layout=found, width=600, height=800)
        web.finish(job_id)

    return Worker(web, work)


def chunks_of(body: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = body["chunks"]
    return found


def test_hybrid_chunks_have_what_the_client_reads(web: WebService) -> None:
    with reading_lamps(web):
        body = body_of(post_file(web, f"{ROOT}/hybrid/file", chunking_include_raw_text="true"))
    chunk, of_ships = chunks_of(body)
    assert (chunk["filename"], chunk["chunk_index"], chunk["page_numbers"]) == ("three.pdf", 0, [1])
    assert chunk["headings"] == ["Lamps"]
    assert chunk["text"].startswith("Lamps\n\nThe lamp burns")
    assert chunk["raw_text"].startswith("The lamp burns")
    assert chunk["doc_items"] == [f"#/texts/{number}" for number in range(4)]
    assert of_ships["headings"] == ["Lamps", "Ships"]
    assert of_ships["text"].startswith("Lamps\nShips\n\nThe lamp burns")
    [document] = body["documents"]
    assert (document["kind"], document["status"]) == ("ExportResult", "success")
    assert document["content"] == {"filename": "three.pdf", "json_content": None}


def test_hierarchical_makes_a_chunk_of_each_block_and_each_list(web: WebService) -> None:
    with reading_lamps(web):
        chunks = chunks_of(body_of(post_file(web, f"{ROOT}/hierarchical/file")))
    assert [chunk["headings"] for chunk in chunks] == [["Lamps"], ["Lamps"], ["Lamps", "Ships"]]
    assert chunks[1]["text"] == "Lamps\noil\nwick"
    assert chunks[2]["text"].startswith("Lamps\nShips\n\nThe lamp burns")
    assert chunks[1]["raw_text"] is None


def test_max_tokens_makes_chunks_smaller_and_the_document_comes_where_it_is_wanted(web: WebService) -> None:
    options = {"max_tokens": 40, "tokenizer": "somebody/model"}
    with reading_lamps(web):
        body = body_of(
            post_source(
                web,
                f"{ROOT}/hybrid/source",
                chunking_options=options,
                sources=[file_source()],
                include_converted_doc=True,
            )
        )
    assert len(chunks_of(body)) > 4
    assert all(len(chunk["text"]) <= 120 + len("Lamps\nShips\n") for chunk in chunks_of(body))
    document = body["documents"][0]["content"]["json_content"]
    known = {item["self_ref"] for item in document["texts"]}
    assert known.issuperset(ref for chunk in chunks_of(body) for ref in chunk["doc_items"])


@pytest.mark.parametrize(
    ("options", "max_chars"),
    [
        ({}, 2000),
        ({"max_tokens": 512}, 1536),
        ({"max_tokens": 1}, 100),
        ({"max_tokens": 10**9}, 100_000),
        ({"chunker": "hierarchical", "max_tokens": 512}, 0),
    ],
)
def test_tokens_are_taken_for_characters(options: dict[str, Any], max_chars: int) -> None:
    assert ChunkOrder.model_validate(options).max_chars == max_chars


@pytest.mark.parametrize(
    ("headings", "text", "found"),
    [
        (["A", "B"], "B\n\nbody", (["A"], "body")),
        (["A", "B"], "A\n\nB\n\nbody", ([], "body")),
        (["A", "B"], "body", (["A", "B"], "body")),
        ([], "body", ([], "body")),
        (["A"], "A", ([], "")),
    ],
)
def test_headings_in_the_text_are_not_repeated(headings: list[str], text: str, found: tuple[list[str], str]) -> None:
    assert headings_above(headings, text) == found


def test_task_keeps_that_chunks_are_wanted(web: WebService) -> None:
    with reading(web, failed=(2,)):
        task = body_of(post_file(web, f"{ROOT}/hybrid/file/async", target_type="inbody"))
        state = body_of(web.client.get(f"/v1/status/poll/{task['task_id']}?wait=30"))
        result = body_of(web.client.get(f"/v1/result/{task['task_id']}"))
    assert (task["task_type"], state["task_type"], state["task_status"]) == ("chunk", "chunk", "success")
    assert "page 1" in chunks_of(result)[0]["text"]
    assert result["documents"][0]["status"] == "partial_success"
    assert "Page 2" in result["documents"][0]["errors"][0]["error_message"]


def test_failed_task_has_no_chunks_and_says_why(web: WebService) -> None:
    with refusing(web):
        task = body_of(post_source(web, f"{ROOT}/hierarchical/source/async", sources=[file_source()]))
        web.client.get(f"/v1/status/poll/{task['task_id']}?wait=30")
        result = body_of(web.client.get(f"/v1/result/{task['task_id']}"))
        check_problem(post_source(web, f"{ROOT}/hybrid/source", sources=[file_source()]), 409, "no-result")
    assert chunks_of(result) == []
    assert "damaged" in result["documents"][0]["errors"][0]["error_message"]


def test_zip_has_the_chunks_as_a_file(web: WebService) -> None:
    with reading(web):
        answer = post_file(web, f"{ROOT}/hybrid/file", target_type="zip")
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        assert json.loads(archive.read("chunked_result.json"))["chunks"]


def test_what_cannot_be_done_is_refused(web: WebService) -> None:
    check_problem(post_file(web, f"{ROOT}/semantic/file"), 404, "not-found")
    check_problem(post_file(web, f"{ROOT}/hybrid/file", chunking_max_tokens="many"), 422, "invalid-options")
    check_problem(post_file(web, f"{ROOT}/hybrid/file", target_type="presigned_url"), 422, "invalid-options")
    check_problem(post_source(web, f"{ROOT}/hybrid/source", chunking_options=[]), 422, "invalid-options")
    assert web.ledger.jobs() == []


def test_options_of_the_conversion_hold(web: WebService, document: Path) -> None:
    fields = {"convert_page_range": ["2", "3"], "convert_force_ocr": "true", "convert_to_formats": "doctags"}
    task = body_of(post_file(web, f"{ROOT}/hybrid/file/async", document.read_bytes(), **fields))["task_id"]
    options = web.job(task).options
    assert (options.pages, options.text_layer) == ("2-3", "ignore")
