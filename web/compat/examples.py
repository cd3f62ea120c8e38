"""What the calls of other services are sent and answer, for OpenAPI."""

from __future__ import annotations

from typing import Any

from web.api.examples import JOB_ID, put

Json = dict[str, Any]

DOCUMENT = {"filename": "report.pdf", "md_content": "# Lamps\n"}
CONVERTED = {"document": DOCUMENT, "status": "success", "errors": [], "processing_time": 3.0, "timings": {}}
SOURCES = {"options": {"to_formats": ["md"]}, "sources": [{"kind": "http", "url": "https://example.com/report.pdf"}]}
TASK = {
    "task_id": JOB_ID, "task_type": "convert", "task_status": "started", "task_position": None, "error_message": None,
}  # fmt: skip
CHUNK = {
    "filename": "report.pdf", "chunk_index": 0, "text": "Lamps\n\nThey burn all night.", "raw_text": None,
    "num_tokens": None, "headings": ["Lamps"], "captions": None, "doc_items": ["#/texts/0", "#/texts/1"],
    "page_numbers": [1], "metadata": {"has_image": False, "kinds": ["heading", "paragraph"], "places": []},
}  # fmt: skip
KEPT = {"kind": "ExportResult", "content": {"filename": "report.pdf", "json_content": None}}
CHUNKED = {
    "chunks": [CHUNK],
    "documents": [KEPT | {"status": "success", "errors": [], "timings": {}}],
    "processing_time": 3.0,
}
CHUNK_SOURCES = {"chunking_options": {"max_tokens": 512}, "sources": SOURCES["sources"]}
FILE = {
    "id": JOB_ID, "object": "file", "bytes": 48213, "created_at": 1777887000, "filename": "report.pdf",
    "purpose": "ocr", "sample_type": "ocr_input", "source": "upload", "deleted": False,
}  # fmt: skip
READ = {
    "pages": [{"index": 0, "markdown": "# Lamps\n", "images": [], "dimensions": None}],
    "model": "pagefan",
    "usage_info": {"pages_processed": 1, "doc_size_bytes": 48213},
}
TIKA = {"Content-Type": "application/pdf", "resourceName": "report.pdf"}
ANALYSED = {
    "status": "succeeded",
    "createdDateTime": "2026-05-04T09:30:00Z",
    "lastUpdatedDateTime": "2026-05-04T09:30:04Z",
    "analyzeResult": {
        "apiVersion": "2024-11-30", "modelId": "prebuilt-read", "stringIndexType": "textElements",
        "contentFormat": "text", "content": "Lamps",
        "pages": [{"pageNumber": 1, "spans": [{"offset": 0, "length": 5}]}], "warnings": [],
    },
}  # fmt: skip
BODIES: dict[str, Json] = {
    "doclingConvertSource": SOURCES,
    "doclingConvertSourceAsync": SOURCES,
    "doclingChunkSource": CHUNK_SOURCES,
    "doclingChunkSourceAsync": CHUNK_SOURCES,
    "mistralOcr": {"document": {"type": "document_url", "document_url": "https://example.com/report.pdf"}},
    "azureAnalyze": {"urlSource": "https://example.com/report.pdf"},
}
ANSWERS: dict[str, Any] = {
    "doclingHealth": {"status": "ok"},
    "doclingConvertFile": CONVERTED,
    "doclingConvertSource": CONVERTED,
    "doclingConvertFileAsync": TASK,
    "doclingConvertSourceAsync": TASK,
    "doclingChunkFile": CHUNKED,
    "doclingChunkSource": CHUNKED,
    "doclingChunkFileAsync": TASK | {"task_type": "chunk"},
    "doclingChunkSourceAsync": TASK | {"task_type": "chunk"},
    "doclingPoll": TASK | {"task_status": "success"},
    "doclingResult": CONVERTED,
    "mistralUpload": FILE,
    "mistralFile": FILE,
    "mistralFileUrl": {"url": f"http://127.0.0.1:8000/v1/files/{JOB_ID}/content"},
    "mistralDelete": {"id": JOB_ID, "object": "file", "deleted": True},
    "mistralOcr": READ,
    "openWebUiProcess": [{"page_content": "# Lamps\n", "metadata": {"page": 0, "state": "ok"}}],
    "azureResult": ANALYSED,
    "tikaText": TIKA | {"X-TIKA:content": "<p>Lamps</p>"},
    "tikaJson": TIKA | {"X-TIKA:content": "Lamps"},
    "tika4Json": TIKA | {"tk:content": "Lamps"},
    "tikaRecursive": [TIKA | {"X-TIKA:content": "<p>Lamps</p>"}],
    "tikaMetadata": TIKA,
    "version": {"pagefan": "0.1.0"},
}
TEXTS = {"tikaHello": "This is Pagefan, in place of a Tika server. Please PUT\n", "tikaDetect": "application/pdf"}


def add_examples(operation: Json) -> None:
    """Show the bodies of one call."""
    name = operation.get("operationId", "")
    if name in BODIES:
        put(operation["requestBody"]["content"], {"application/json": BODIES[name]})
    content = operation["responses"].get("200", {}).get("content", {})
    if name in ANSWERS:
        put(content, {"application/json": ANSWERS[name]})
    if name in TEXTS:
        put(content, {"text/plain": TEXTS[name]})
