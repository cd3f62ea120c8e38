"""Whether words say a number or a date, however it is written."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal, InvalidOperation

AROUND = " ()[]{}:;|*%$€£¥₹#\"'’`.,"
CODE = re.compile(r"^[A-Z]{3}(?=[\d+\-−])|(?<=\d)[A-Z]{3}$")  # of a currency
GROUPED = re.compile(r"[+\-−]?\d{1,3}(?:[ \N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}'’.,]\d{3})*(?:[.,]\d+)?")
PLAIN = re.compile(r"[+\-−]?\d+(?:[.,]\d+)?")
DATE = re.compile(r"(\d{1,4})[./\-](\d{1,2})[./\-](\d{1,4})")
ISO = re.compile(r"\d{4}-\d{2}-\d{2}")


def says_number(text: str, value: float) -> bool:
    """With a point or a comma before the decimals, groups of three by either, a space or a mark, and a currency."""
    core = CODE.sub("", text.strip(AROUND)).strip(AROUND)
    if not (PLAIN.fullmatch(core) or GROUPED.fullmatch(core)):
        return False
    core = re.sub(r"[\s'’]", "", core).replace("−", "-")
    readings = {core.replace(",", ""), core.replace(".", "").replace(",", ".")}
    return any(decimal(reading) == decimal(str(value)) for reading in readings if decimal(reading) is not None)


def decimal(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


def date_of(text: str) -> date | None:
    """The date that an ISO date says; None for every other text."""
    try:
        return date.fromisoformat(text) if ISO.fullmatch(text) else None
    except ValueError:
        return None


def says_date(text: str, day: date) -> bool:
    """In figures, the day before the month or after it, with a year of two figures or four."""
    found = DATE.fullmatch(text.strip(AROUND))
    if not found:
        return False
    first, second, third = map(int, found.groups())
    years = {day.year, day.year % 100}
    if first == day.year:
        return (second, third) == (day.month, day.day)
    return third in years and sorted((first, second)) == sorted((day.month, day.day))
