"""What a value of a request may be, where a pattern cannot say it; each raises ValueError, whose words people see."""

from __future__ import annotations

from flask import g

from tasks import storage
from tasks.settings import get_settings
from workers.documents.selection import parse_parts
from workers.languages import parse
from workers.net.addresses import FetchError, parse_url
from workers.net.places import is_storage
from workers.net.targets import NAMES, check_template, fill_in


def check_pages(value: str) -> str:
    """The selection as it is, if it can be read; whether the document has the pages is seen later."""
    parse_parts(value)
    return value


def check_language(value: str | None) -> str | None:
    """The languages as they are, if they are written as such; whether a worker has them is seen later."""
    if value:
        parse(value)
    return value


def check_address(value: str) -> str:
    """The URL as it is, if it has a form that may be used; what its name stands for is seen when it is called."""
    try:
        get_settings().address_rules().check_literal(parse_url(value))
    except FetchError as exc:
        raise ValueError(exc.detail) from exc
    return value


def check_source(value: str) -> str:
    """A URL of a document as it is, if it may be fetched; what is there is seen when it is."""
    if not is_storage(value):
        return check_address(value)
    try:
        storage.check_source(value, g.owner)
    except FetchError as exc:
        raise ValueError(exc.detail) from exc
    return value


def check_target(value: str, formats: str, *, attachments: bool) -> str:
    """The template of a target, if results may be written there; whether that can be done is seen at the job's end."""
    if not value:
        return ""
    template = check_template(value, formats.split(","))
    if not is_storage(value):
        if attachments:
            raise ValueError("target_url: a signed URL takes the result of one document; leave out `attachments`")
        return check_address(template)
    try:
        storage.check_target(fill_in(template, dict.fromkeys(NAMES, "x")), g.owner)
    except FetchError as exc:
        raise ValueError(f"target_url: {exc.detail}") from exc
    return template
