"""The form and the lists of jobs in a real Chromium: new jobs come in, refusals name the form's fields."""

from __future__ import annotations

import pytest
from documents import save_readable
from playwright.sync_api import Browser, FilePayload, Page, expect
from services import make_pdf
from web_service import WebService

pytestmark = pytest.mark.browser


def test_new_jobs_come_into_the_list(view: Page, web: WebService) -> None:
    web.open(1, name="old.pdf")
    view.clock.install()
    view.goto("/jobs")
    expect(view.locator("[data-job] .name")).to_have_text(["old.pdf"])
    web.open(1, name="new.pdf")
    view.clock.run_for(7000)
    expect(view.locator("[data-job] .name")).to_have_text(["new.pdf", "old.pdf"])


def test_rows_follow_their_jobs(view: Page, web: WebService) -> None:
    job_id = web.open(2)
    view.clock.install()
    view.goto("/jobs")
    row = view.locator(f"[data-job='{job_id}']")
    row.get_by_role("checkbox").check()
    expect(row.locator(".badge")).to_have_text("reading")
    save_readable(job_id, 1)
    web.read(job_id, 2)
    web.finish(job_id)
    view.clock.run_for(2500)
    expect(row.locator(".badge")).to_have_text("complete")
    expect(row.locator("img")).to_have_js_property("naturalHeight", 224)
    expect(row.get_by_role("checkbox")).to_be_checked()


def test_several_jobs_are_chosen_and_deleted(view: Page, web: WebService) -> None:
    for number in range(4):
        web.open(1, name=f"{number}.pdf")
    view.goto("/jobs")
    boxes, deeds = view.locator("input[name=job]"), view.locator(".deeds")
    expect(deeds).to_be_hidden()
    boxes.nth(0).check()
    boxes.nth(2).click(modifiers=["Shift"])
    expect(view.locator("#num-picked")).to_have_text("3 jobs chosen")
    expect(deeds.get_by_role("button", name="Download")).to_be_disabled()
    view.click(".deeds summary")
    view.get_by_role("button", name="Delete for good").click()
    expect(view.locator("[role=status]").first).to_have_text("3 jobs deleted.")
    expect(view.locator("[data-job] .name")).to_have_text(["0.pdf"])


def test_refused_option_is_named_at_its_field(browser: Browser, url: str) -> None:
    view = browser.new_page(base_url=url)
    view.goto("/")
    view.click("text=Options")
    view.fill("#pages", "3-x")
    view.click("text=Options")
    view.set_input_files("#file", FilePayload(name="a.pdf", mimeType="application/pdf", buffer=make_pdf(1)))
    view.click("#send")
    expect(view.locator(".what")).to_have_text("Not sent: mend “Pages” in the options.")
    expect(view.locator("#wrong-pages")).to_contain_text("'3-x' is not a page")
    expect(view.locator("#pages")).to_have_attribute("aria-invalid", "true")
    expect(view.locator("#pages")).to_be_visible()
    view.close()


def test_bars_are_of_jobs_that_are_at_work(view: Page, web: WebService) -> None:
    """A bar that is full says nothing of a job that was cancelled or failed."""
    at_work, cancelled, failed = web.open(2, name="a.pdf"), web.open(2, name="b.pdf"), web.open(2, name="c.pdf")
    web.read(at_work, 1)
    web.ledger.cancel(cancelled)
    web.ledger.end_job(failed, "failed", error={"reason": "corrupt", "detail": "It is damaged."})
    view.goto("/jobs")
    expect(view.locator(f"[data-job='{at_work}'] progress")).to_be_visible()
    expect(view.locator(f"[data-job='{cancelled}'] progress")).to_be_hidden()
    expect(view.locator(f"[data-job='{failed}'] progress")).to_be_hidden()
