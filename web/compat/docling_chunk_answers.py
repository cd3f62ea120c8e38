"""What a client of docling-serve's chunkers is given: our own chunks, in the words that it knows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from flask import Response, jsonify

from tasks.ledger.records import Job
from web.api.downloads import pack
from web.api.results import open_result
from web.api.shown import timings_of
from web.compat.answers import read_result
from web.compat.docling_answers import STATUS_OF, error_item, errors_of, zip_response
from web.compat.docling_orders import ChunkOrder, Order
from workers.results.docling_items import within
from workers.results.options import ResultOptions

Json = dict[str, Any]
Corners = tuple[int, int, int, int, int]  # page number, left, top, right, bottom, in whole pixels


def answer_with_chunks(job: Job, order: Order, wanted: ChunkOrder) -> Response:
    """The chunks of a job that has ended. Raises Problem where it ended without a result."""
    document: Json = json.loads(read_result(job, "docling"))
    refs = refs_in(document)
    chunks = [chunk_item(job.name, chunk, refs, wanted) for chunk in own_chunks(job, wanted)]
    body = chunks_body(job, chunks, document if wanted.include_converted_doc else None, errors_of(job))
    if order.target == "zip":
        return zip_response(pack(iter([("chunked_result.json", iter([json.dumps(body).encode()]))])))
    return jsonify(body)


def chunks_of_failure(job: Job, detail: str) -> Response:
    return jsonify(chunks_body(job, [], None, [error_item("pipeline", detail)]))


def chunks_body(job: Job, chunks: list[Json], document: Json | None, errors: list[Json]) -> Json:
    kept = {"kind": "ExportResult", "content": {"filename": job.name, "json_content": document}}
    return {
        "chunks": chunks,
        "documents": [kept | {"status": STATUS_OF[job.state], "errors": errors, "timings": {}}],
        "processing_time": timings_of(job).running_s or 0.0,
    }


def own_chunks(job: Job, wanted: ChunkOrder) -> Iterator[Json]:
    """The chunks as the format of that name has them. Raises Problem."""
    options = ResultOptions(max_chars=wanted.max_chars)
    lines = b"".join(open_result(job, "chunks", partial=False, options=options)).decode()
    return (json.loads(line) for line in lines.split("\n") if line)


def chunk_item(name: str, chunk: Json, refs: dict[Corners, str], wanted: ChunkOrder) -> Json:
    """`text` begins with the headings that the chunk stands below; tokens are not counted."""
    text = chunk["text"]
    above, raw_text = headings_above(chunk["headings"], text)
    found = (refs.get(corners) for place in chunk["places"] for corners in corners_of(place))
    return {
        "filename": name,
        "chunk_index": chunk["number"] - 1,
        "text": "\n".join([*above, text]),
        "raw_text": raw_text if wanted.include_raw_text else None,
        "num_tokens": None,
        "headings": chunk["headings"] or None,
        "captions": None,
        "doc_items": list(dict.fromkeys(ref for ref in found if ref)),
        "page_numbers": chunk["pages"],
        "metadata": {"has_image": "figure" in chunk["kinds"], "kinds": chunk["kinds"], "places": chunk["places"]},
    }


def headings_above(headings: list[str], text: str) -> tuple[list[str], str]:
    """Those headings that do not stand at the beginning of the text itself, and the text after those that do."""
    for num_above in range(len(headings)):
        if text.startswith(own := "\n\n".join(headings[num_above:])):
            return headings[:num_above], text.removeprefix(own).lstrip("\n")
    return headings, text


def refs_in(document: Json) -> dict[Corners, str]:
    """The items of a DoclingDocument by where they stand."""
    items = (item for part in ("texts", "tables", "pictures") for item in document[part])
    return {corners_in(place): item["self_ref"] for item in items for place in item["prov"]}


def corners_in(place: Json) -> Corners:
    box = place["bbox"]
    return (place["page_no"], *(round(box[name]) for name in "ltrb"))


def corners_of(place: Json) -> Iterator[Corners]:
    """The corners of the boxes of a chunk on one page, as the document has them."""
    for box in place["boxes"]:
        shown = within(tuple(box), (place["width"], place["height"]))
        yield (place["page_number"], *map(round, shown))
