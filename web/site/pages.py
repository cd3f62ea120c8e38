"""The pages for people: upload, jobs, one job, one page. They work without JavaScript and better with it."""

from __future__ import annotations

import secrets
from typing import Any

from apiflask import APIBlueprint
from flask import g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from tasks.access.keys import get_keyring
from tasks.archive import load_pages, newest_jobs
from tasks.ledger.records import Job, Page
from tasks.repair import is_locked
from tasks.services import engine_names
from tasks.settings import get_settings
from web.api.guests import NOT_FOR_GUESTS, is_guest
from web.api.inputs import JobForm, UrlFields
from web.api.jobs import find_job
from web.api.languages import known_languages
from web.api.outputs import PageOut
from web.api.partials import text_so_far
from web.api.problems import Problem
from web.api.shown import find_page, job_out, job_summary, page_out, page_text_out
from web.api.uploads import entries_of, entries_of_link, refuse_when_full, submit
from web.site.answer import answer_shown, values_on
from web.site.csrf import check_csrf
from web.site.fields import form_values, validate
from web.site.find import find_words
from web.site.reader import sheets_of
from web.site.reading import line_html, reading_of
from workers.documents.kinds import EXTENSIONS
from workers.documents.selection import Selection
from workers.engines.registry import reads_plain_text
from workers.net.addresses import MAX_URL
from workers.results.page import WITH_TEXT

bp = APIBlueprint("pages", __name__, enable_openapi=False)

TEXT_LAYERS = {
    "auto": "Use it where the print agrees",
    "ignore": "Ignore it",
    "fallback": "Use it where reading fails",
    "prefer": "Use it for whole pages only",
}
RECENT = 5
READ_AT_ONCE = 10  # pages whose text a job page has from the start; a script fetches the others as they come near
FORMATS = {
    "md": ("Markdown", "Headings, lists and tables as text; for notes, and for models"),
    "txt": ("Plain text", "Page by page, with nothing left out; for search"),
    "html": ("HTML", "One file to read in a browser or to print, with figures"),
    "docx": ("Word", "A file to go on writing in, with headings, lists, tables and figures"),
    "pdf": ("Searchable PDF", "The document as it was, with its text to search and select"),
    "json": ("JSON", "Blocks and lines with their places; for programs"),
    "chunks": ("Chunks", "JSON Lines for retrieval, with headings, pages and places"),
    "docling": ("DoclingDocument", "JSON for docling, LangChain and LlamaIndex"),
    "hocr": ("hOCR", "HTML with lines and words in their places; for scanning tools"),
    "alto": ("ALTO", "XML with lines and words in their places; for archives"),
    "zip": ("ZIP", "Markdown, text, HTML, PDF and JSON, tables as CSV, figures and page images"),
}
PRESETS = {
    "md": ("Paper to Markdown", "Headings, lists and tables as text"),
    "pdf": ("Scan to searchable PDF", "The document as it is, with its text to search"),
    "ask": ("Ask a question", "Answered from the document, by a language model"),
}
FAULTS_SHOWN = 20


@bp.get("/")
def show_upload() -> str:
    jobs = [job_summary(job) for job in newest_jobs(g.owner, limit=RECENT)]
    suffixes = [suffix for suffixes in EXTENSIONS.values() for suffix in suffixes]
    return render_template(
        "upload.html",
        jobs=jobs,
        formats=list(EXTENSIONS),
        suffixes=suffixes,
        text_layers=TEXT_LAYERS,
        presets=PRESETS,
        not_asked="" if can_be_asked() else f"Needs a language model; this server has {' and '.join(engine_names())}",
        engines=engine_names(),
        languages=known_languages(),
        max_upload_mb=get_settings().max_upload_mb,
        max_url=MAX_URL,
    )


def can_be_asked() -> bool:
    """Whether an engine of this server answers questions."""
    return not all(map(reads_plain_text, engine_names()))


@bp.post("/jobs")
def create_jobs() -> Response:
    """The upload form without JavaScript: files, a URL, or both."""
    refuse_when_full()
    check_csrf()
    batch_id = secrets.token_hex(8)
    values = form_values() | {"batch_id": batch_id}
    preset = values.pop("preset", "md")
    if preset == "ask":
        values["task"] = "ask"
    url, files = values.pop("url", "").strip(), [file for file in request.files.getlist("file") if file.filename]
    if not url and not files:
        raise Problem("invalid-options", "Nothing was chosen: choose a file, or give the address of a document.")
    link = validate(UrlFields, values | {"url": url}) if url else None
    form = validate(JobForm, values | {"file": files}) if files else None
    entries = (entries_of(form.file, form) if form else []) + (entries_of_link(link) if link else [])
    _, job_ids = submit(entries, batch_id)
    if len(job_ids) == 1:
        return redirect(url_for("pages.show_job", job_id=job_ids[0], **{"for": preset}), 303)
    return redirect(url_for("lists_site.show_jobs", batch=batch_id), 303)


@bp.get("/jobs/<job_id>")
def show_job(job_id: str) -> str:
    job = find_job(job_id)
    pages = load_pages(job)
    start, words = request.args.get("from", 1, type=int), request.args.get("q", "")
    faults = [shown for page in pages if needs_a_look(shown := page_out(job, page))]
    return render_template(
        "job.html",
        job=job_out(job),
        cells=pages,
        sheets_shown=sheets_of(job, first_read(pages, start)),
        answer=answer_shown(job),
        words=words,
        found=find_words(job, words) if words else None,
        following=next((page.page_number for page in pages[position_of(pages, start) + READ_AT_ONCE :]), None),
        formats=FORMATS,
        wanted=request.args.get("for", "") if request.args.get("for") in ("md", "pdf") else "",
        reading=first_reading(job, pages),
        faults=faults[:FAULTS_SHOWN],
        num_faults=len(faults),
        has_ended=job.has_ended,
        is_locked=is_locked(job),
        can_share=job.has_ended and get_keyring().is_needed,
        not_for_guests=NOT_FOR_GUESTS,
        has_password=job.options.has_password,
        engines=engine_names(),
        languages=known_languages(),
        poll_s=3,
    )


def needs_a_look(page: PageOut) -> bool:
    return page.state in ("failed", "fallback") or bool(page.notice)


def first_reading(job: Job, pages: list[Page]) -> dict[str, Any] | None:
    """The first page that is being read, if the engine has told some of its text."""
    page = next((page for page in pages if page.state == "generating"), None)
    text = text_so_far(job, page) if page else ""
    return {"page_number": page.page_number, "text": text} if page and text else None


def first_read(pages: list[Page], start: int) -> list[Page]:
    """The pages that a browser gets at once, from the page of this number on: what has ended of them."""
    place = position_of(pages, start)
    return [page for page in pages[place : place + READ_AT_ONCE] if page.has_ended and page.state != "cancelled"]


def position_of(pages: list[Page], start: int) -> int:
    return next((place for place, page in enumerate(pages) if page.page_number >= start), 0)


@bp.get("/jobs/<job_id>/pages/<int:number>")
def show_page(job_id: str, number: int) -> str:
    job = find_job(job_id)
    page = find_page(job, number)
    numbers = [index + 1 for index in Selection.parse(job.selection)]
    place = numbers.index(number)
    shown = page_text_out(job, page)
    return render_template(
        "page.html",
        job=job_out(job),
        page=shown,
        reading=reading_of(job, shown),
        line_html=line_html,
        values=values_on(job, number),
        has_image=page.has_image,
        has_ended=page.has_ended,
        can_correct=job.has_ended and not is_guest() and page.state in WITH_TEXT,
        has_password=job.options.has_password,
        engines=engine_names(),
        languages=known_languages(),
        previous=numbers[place - 1] if place else None,
        next=numbers[place + 1] if place + 1 < len(numbers) else None,
    )
