"""What the reasons of jobs and pages mean, and what to do, where a record has no words of its own."""

from __future__ import annotations

from collections.abc import Iterable

REASONS = {
    "source_lost": "The uploaded file is gone from the store. Send it again.",
    "job_lost": "The job's record was lost with the job store. Send the file again.",
    "task_lost": "The page's task was lost several times. Retry the page.",
    "lost": "It was lost on the way. Send the file again.",  # records of versions that had one word for all three
    "encrypted": "The PDF needs a password. Give it with a retry of this job.",
    "wrong_password": "The password does not open this PDF. Give the right one with a retry of this job.",
    "address_refused": "The server fetches only from public addresses. Send the file itself.",
    "fetch_failed": "The document could not be fetched from its URL. Check that it opens without a login.",
    "corrupt": "The file is damaged. Open it in a viewer, save or print it anew, and send that.",
    "timeout": "It took longer than the server allows. Retry it, with a lower dpi if the page is large.",
    "poison": "The process that worked on this page died each time; the page is set aside. Retry it with a lower dpi.",
    "repetition": "The model repeated itself and was stopped; the text is cut there. Retry with another dpi or prompt.",
    "truncated": "The answer was cut at its longest length. Retry with a larger max_new_tokens.",
    "length": "The answer had no text at its longest length. Retry with a larger max_new_tokens.",
    "generation_failed": "The engine could not read this page. Retry it, or try another dpi.",
    "content_filter": "The model server's content filter refused this page. Another prompt may help.",
    "invalid_answer": "The model gave no values that fit the schema. Retry the page, or make the schema simpler.",
    "cancelled": "The job was cancelled before this page was read. Retry the page to read it.",
    "unreadable": "The page looks written, but nothing could be read on it. Scan it anew, or try another engine.",
    "unread_ink": "Most of what looks like writing could not be read. Scan it anew, or try another engine.",
    "unread_script": "The page seems to be in a script that the engine does not read. Read it in its `language`, with "
    "`ENGINE=tesseract` or `OCR_HELPER=tesseract`.",
    "stalled": "Nothing moved for longer than the server waits (JOB_STALL_S). See whether its workers run, then retry.",
    "storage": "The result could not be stored. Free space on the server, then retry a page.",
    "internal": "Something went wrong on the server. Retry the page; the server's log has the details.",
}
NOTICES = {
    "unread_script": "The page seems to be in a script that the engine does not read. Read it in its `language`, with "
    "`ENGINE=tesseract` or `OCR_HELPER=tesseract`, or use the PDF's own text with `text_layer=fallback`.",
    "unread_ink": "Most of what looks like writing on this page is not in its text. Compare it with the page.",
    "unreadable": "This page looks written, but no text could be read on it.",
    "no_text": "No text was found on this page; it seems to have a picture only.",
    "no_layout": "The layout of this page was not found; its text stands in plain paragraphs.",
    "low_confidence": "The engine was unsure of this page's text. Compare it with the page.",
}


def explain(reason: str, detail: str) -> str:
    """The record's own words, or the meaning of its reason."""
    return detail or REASONS.get(reason, "")


def describe(notices: Iterable[str]) -> str:
    """What people should know of a page, in sentences; empty for nothing."""
    return " ".join(NOTICES.get(notice, notice) for notice in notices)
