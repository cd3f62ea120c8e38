"""The cases of corpus/field: what each is sent with, and what must come of it. `benchmarks.corpus` runs them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.services import Service

MULTIPART = "multipart/form-data; boundary=X"
LEASE = r"Line (\d+) of the lease agreement"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What became of a document: the job, its pages as the result has them, and all their text."""

    job: Mapping[str, Any]
    pages: list[dict[str, Any]]

    @property
    def text(self) -> str:
        return "\n".join(page["text"] for page in self.pages)

    @property
    def notices(self) -> set[str]:
        return {word for page in self.pages for word in (page["reason"], *page["notices"])}

    def count(self, pattern: str) -> int:
        """How many different things the pattern finds."""
        return len(set(re.findall(pattern, self.text)))

    def describe(self) -> str:
        states = ", ".join(sorted({page["state"] for page in self.pages}))
        lines = len(self.text.splitlines())
        notices = f"; {', '.join(sorted(self.notices - {''}))}" if self.notices - {""} else ""
        warnings = f"; {len(self.job['warnings'])} warnings" if self.job.get("warnings") else ""
        return f"{self.job['state']} ({states}), {len(self.pages)} pages, {lines} lines{notices}{warnings}"


Check = Callable[[Seen], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    file: str
    expected: str
    check: Check
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        options = " ".join(f"{name}={value}" for name, value in self.options.items())
        return f"{self.file} {options}".strip()


def has_lines(pattern: str, number: int) -> Check:
    return lambda seen: seen.count(pattern) == number


def has_notice(*words: str) -> Check:
    return lambda seen: bool(seen.notices & set(words))


def has_warning(word: str) -> Check:
    return lambda seen: any(word in warning for warning in seen.job["warnings"])


def is_refused_or_told(seen: Seen) -> bool:
    """A failed job, or the pages that can be read with a warning or with failed pages beside them."""
    return seen.job["state"] in ("failed", "partial") or bool(seen.job["warnings"])


def is_listing(seen: Seen) -> bool:
    return '\n        return "yes"' in seen.text and "....." not in seen.text


def has_no_tick_as_digit(seen: Seen) -> bool:
    return "[x]" in seen.text and "3" not in seen.text.splitlines()


PREFER, FALLBACK = {"text_layer": "prefer"}, {"text_layer": "fallback"}
FRAMES = "all frames, or a warning"
CASES = [
    Case(file="receipt.png", expected="300 lines", check=has_lines(r"ITEM (\d+)", 300)),
    Case(file="strip.png", expected="one line", check=has_lines(r"(invoice number is 2024-7731)", 1)),
    Case(file="a0.pdf", expected="8 paragraphs", check=has_lines(r"Paragraph (\d+) of the planning", 8)),
    Case(
        file="a0.pdf", expected="8 paragraphs", options=FALLBACK, check=has_lines(r"Paragraph (\d+) of the planning", 8)
    ),
    Case(file="scan_watermark.pdf", expected="the scan", options=PREFER, check=lambda s: s.count(r"clause (\d+)") > 10),
    Case(file="camscanner.pdf", expected="the scan", options=PREFER, check=lambda s: s.count(LEASE) >= 12),
    Case(file="garble_band.pdf", expected="12 lines read", options=PREFER, check=has_lines(LEASE, 12)),
    Case(file="garble_ocrjunk.pdf", expected="12 lines read", options=PREFER, check=has_lines(LEASE, 12)),
    Case(file="gray12in16.png", expected="12 lines", check=has_lines(LEASE, 12)),
    Case(file="gray10in16.tif", expected="12 lines", check=has_lines(LEASE, 12)),
    Case(file="equilum.png", expected="12 lines", check=has_lines(LEASE, 12)),
    Case(file="white_on_transparent.png", expected="text", check=has_lines(r"(White letters on a transparent)", 1)),
    Case(file="cyr.png", expected="a notice", check=has_notice("unread_script")),
    Case(file="heb.png", expected="a notice", check=has_notice("unread_script")),
    Case(file="cyr.pdf", expected="its own text", check=has_lines(r"(\d)\. Договор аренды", 8)),
    Case(file="cyr.pdf", expected="its own text", options=FALLBACK, check=has_lines(r"(\d)\. Договор аренды", 8)),
    Case(file="korea.pdf", expected="its own text", options=FALLBACK, check=has_lines("(이 계약은 서울에서)", 1)),
    Case(file="multi.webp", expected=FRAMES, check=lambda s: s.count(r"Frame (\d)") == 3 or bool(s.job["warnings"])),
    Case(file="multi.gif", expected=FRAMES, check=lambda s: s.count(r"Frame (\d)") == 3 or bool(s.job["warnings"])),
    Case(file="multi.avif", expected=FRAMES, check=lambda s: s.count(r"Frame (\d)") == 2 or bool(s.job["warnings"])),
    Case(file="portfolio.pdf", expected="a warning", check=has_warning("attached")),
    Case(file="xfa.pdf", expected="a warning", check=has_warning("XFA")),
    Case(file="toc_code.pdf", expected="indentation, short leaders", check=is_listing),
    Case(file="form.pdf", expected="[x] for a ticked box", options=PREFER, check=has_no_tick_as_digit),
    Case(file="second_ifd_no_dims.tif", expected="refused, or told", check=is_refused_or_told),
    Case(file="multi_cut50.tif", expected="refused, or told", check=is_refused_or_told),
    Case(file="subfile_ascii.tif", expected="an end", check=lambda seen: bool(seen.job["state"])),
]


def look(service: Service, path: Path, options: Mapping[str, str]) -> Seen:
    job_id = service.submit(path.read_bytes(), path.name, **options)
    job = service.wait(job_id, 600)
    return Seen(job=job, pages=list(service.result(job_id).get("pages", ())))


def send_raw(service: Service, path: Path) -> int:
    """The status that a body, as some client wrote it, is answered with."""
    answer = service.http.post("/jobs", content=path.read_bytes(), headers={"Content-Type": MULTIPART})
    return answer.status_code


def downloads_under(service: Service, path: Path, name: str) -> bool:
    """Whether the text of a document of this name can be downloaded under its whole name."""
    job_id = service.submit(path.read_bytes(), name)
    service.wait(job_id, 600)
    answer = service.http.get(f"/jobs/{job_id}/result", params={"format": "md", "download": "1"})
    return "filename*=UTF-8''%" in answer.headers["content-disposition"]
