"""Scans, tables and very long documents in the reader, in a real Chromium."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from documents import save_readable
from playwright.sync_api import Page, expect
from web_service import WebService

from tasks.archive import NOTABLE, PAGES, job_record
from tasks.blobs import job_key
from tasks.services import get_blobs

pytestmark = pytest.mark.browser

MOST_NODES = 8_000  # in a page with 2,000 cells and sections, each cell in an item of its list


@pytest.fixture
def job_id(web: WebService) -> str:
    job_id = web.open(2, name="ships.pdf")
    save_readable(job_id)
    web.read(job_id, 2)
    web.finish(job_id)
    return job_id


def very_long_job(web: WebService, num_pages: int) -> str:
    """A job that was put away, whose pages all say the same."""
    job_id = web.open(num_pages, name="book.pdf")
    web.read(job_id, 1, "the words of a page", width=200, height=300)
    first = web.ledger.page(job_id, 0)
    job = replace(web.job(job_id), state="succeeded", ended_at=1.0, counts={"ok": num_pages})
    lines = "".join(replace(first, index=index).to_line() for index in range(num_pages))
    get_blobs().write(job_key(job_id, PAGES), lines.encode())
    get_blobs().write(job_key(job_id, NOTABLE), b"")
    get_blobs().write(job_key(job_id, "job.json"), json.dumps(job_record(job)).encode())
    web.ledger.forget(job_id)
    return job_id


def num_nodes(view: Page) -> int:
    return int(view.evaluate("document.querySelectorAll('*').length"))


def test_two_thousand_pages_are_few_nodes_wherever_one_is(view: Page, web: WebService) -> None:
    view.goto(f"/jobs/{very_long_job(web, 2000)}")
    expect(view.locator("#page-1 .words")).to_contain_text("the words of a page")
    assert num_nodes(view) < MOST_NODES
    for number in (700, 1400, 2000):
        view.fill("#jump", str(number))
        view.keyboard.press("Enter")
        expect(view.locator(f"#page-{number} .words")).to_be_in_viewport(timeout=20_000)
        assert num_nodes(view) < MOST_NODES
    expect(view.locator("#page-1")).to_have_class("sheet far")
    assert view.locator(".sheet:not(.far)").count() < 60


def test_scan_is_enlarged_turned_and_small_beside_its_cell(view: Page, job_id: str) -> None:
    view.goto(f"/jobs/{job_id}")
    image = view.locator("#page-1 .frame img")
    before = image.bounding_box()
    view.keyboard.press("+")
    expect(view.locator("#zoom")).to_have_text("Width")
    view.keyboard.press("+")
    view.keyboard.press("+")
    after = image.bounding_box()
    assert before
    assert after
    room = view.locator("#page-1 .scan").bounding_box()
    assert room
    assert after["width"] > 1.9 * room["width"] > before["width"]
    assert view.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for _ in range(3):
        view.keyboard.press("-")
    expect(view.locator("#zoom")).to_have_text("Fit")
    view.keyboard.press("r")
    turned = view.locator("#page-1 .frame").bounding_box()
    assert turned
    assert turned["width"] > turned["height"]
    view.hover("#c1")
    expect(view.locator(".thumb")).to_be_visible()
    view.hover("h1")
    expect(view.locator(".thumb")).to_be_hidden()


def test_source_is_shown_and_tables_are_copied(view: Page, job_id: str) -> None:
    view.goto(f"/jobs/{job_id}")
    view.hover("#page-1 table")
    view.get_by_role("button", name="Copy the table as CSV").click()
    view.wait_for_function("navigator.clipboard.readText().then((text) => text === 'Ship,Load\\r\\nAnn,12\\r\\n')")
    view.get_by_role("button", name="Copy the table as Markdown").click()
    wanted = "| Ship | Load |\\n| --- | --- |\\n| Ann | 12 |\\n"
    view.wait_for_function(f"navigator.clipboard.readText().then((text) => text === '{wanted}')")
    view.check("#view-source")
    expect(view.locator("#page-1 .markdown")).to_contain_text("# Ships of the north")
    expect(view.locator("#page-1 .words")).to_be_hidden()
