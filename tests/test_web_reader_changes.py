"""What people change in the reader, in a real Chromium: they correct a page and take that back."""

from __future__ import annotations

import pytest
from documents import save_readable
from playwright.sync_api import Page, expect
from web_service import WebService

pytestmark = pytest.mark.browser


@pytest.fixture
def job_id(web: WebService) -> str:
    job_id = web.open(2, name="ships.pdf")
    save_readable(job_id)
    web.read(job_id, 2, notices=("low_confidence",))
    web.finish(job_id)
    return job_id


def test_page_is_corrected_beside_its_scan_and_one_click_takes_it_back(view: Page, job_id: str) -> None:
    view.goto(f"/jobs/{job_id}")
    sheet = view.locator("#page-1")
    expect(sheet.locator(".words p").first).to_contain_text("never")
    view.keyboard.press("e")
    area = sheet.locator("textarea")
    expect(area).to_be_focused()
    area.fill(area.input_value().replace("never", "hardly"))
    view.keyboard.press("Control+Enter")
    expect(sheet.locator(".words p").first).to_have_text("They carry oil over the several seas & <hardly> rest.")
    expect(sheet.locator("textarea")).to_have_count(0)
    expect(sheet.locator(".badge")).to_have_text("corrected by hand")
    expect(sheet.locator("[data-unsure]")).to_have_count(0)
    sheet.locator(".line", has_text="hardly").hover()
    expect(sheet.locator("rect.lit[data-line='2']")).to_have_count(1)
    view.click("#copy-all")
    expect(view.locator("#copy-all")).to_have_text("Copied")
    assert "hardly" in view.evaluate("navigator.clipboard.readText()")
    sheet.locator(".undo").click()
    expect(sheet.locator(".words p").first).to_contain_text("never")
    expect(sheet.locator(".badge")).to_have_count(0)


def test_corrected_page_needs_no_look_and_escape_changes_nothing(view: Page, job_id: str) -> None:
    view.goto(f"/jobs/{job_id}")
    expect(view.locator("#c2[data-look]")).to_have_count(1)
    sheet = view.locator("#page-2")
    sheet.locator(".correct").click()
    sheet.locator("textarea").fill("nothing of this")
    view.keyboard.press("Escape")
    expect(sheet.locator(".words")).to_contain_text("page 2")
    sheet.locator(".correct").click()
    sheet.locator("textarea").fill("## Page *two*")
    sheet.get_by_role("button", name="Save").click()
    expect(sheet.locator(".words em")).to_have_text("two")
    expect(view.locator("#c2[data-look]")).to_have_count(0)
