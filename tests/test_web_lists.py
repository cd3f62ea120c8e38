"""The form and the lists of jobs in a real Chromium: new jobs come in, refusals name the form's fields."""

from __future__ import annotations

import pytest
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


def test_refused_option_is_named_at_its_field(browser: Browser, url: str) -> None:
    view = browser.new_page(base_url=url)
    view.goto("/")
    view.click("text=Options")
    view.fill("#pages", "3-x")
    view.click("text=Options")
    view.set_input_files("#file", FilePayload(name="a.pdf", mimeType="application/pdf", buffer=make_pdf(1)))
    view.click("#send")
    expect(view.locator(".what")).to_contain_text("Pages: ")
    expect(view.locator(".what")).not_to_contain_text("errors")
    expect(view.locator("#pages")).to_have_attribute("aria-invalid", "true")
    expect(view.locator("#pages")).to_be_visible()
    view.close()
