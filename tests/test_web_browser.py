"""The pages in a real Chromium on a real stack: send a document, watch its pages, read it, take it away."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright
from services import make_pdf

from web.stack import Stack

pytestmark = [pytest.mark.browser, pytest.mark.e2e]

READ_MS = 60_000
EVIL = "<img src=x onerror=alert(1)>.pdf"


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, stack: Stack) -> Iterator[Page]:
    """A page at the start address; the test fails if anything goes wrong in the browser's console."""
    context = browser.new_context(base_url=stack.base_url, accept_downloads=True)
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if is_complaint(message) else None)
    page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
    page.goto("/")
    yield page
    assert not complaints
    context.close()


def is_complaint(message: ConsoleMessage) -> bool:
    """An error, but not a refusal by the server, which Chromium logs as well."""
    return message.type == "error" and not message.text.startswith("Failed to load resource")


def send(page: Page, *names: str, num_pages: int = 3) -> None:
    files = [{"name": name, "mimeType": "application/pdf", "buffer": make_pdf(num_pages)} for name in names]
    page.set_input_files("#file", files)  # type: ignore[arg-type]
    page.click("#send")


def test_document_is_sent_watched_read_and_taken_away(page: Page, tmp_path: Path) -> None:
    send(page, "report.pdf", num_pages=5)
    expect(page.locator("h1")).to_have_text("report.pdf", timeout=READ_MS)
    expect(page.locator("#badge")).to_have_text("complete", timeout=READ_MS)
    expect(page.locator(".cell[data-state=ok]")).to_have_count(5)
    titles = page.locator(".sheet h3").all_inner_texts()
    assert titles == [f"Page {number}" for number in range(1, 6)]
    with page.expect_download() as taken:
        page.get_by_role("link", name="Markdown").click()
    assert taken.value.suggested_filename == "report.md"
    taken.value.save_as(tmp_path / "report.md")
    assert "page 5" in (tmp_path / "report.md").read_text()


def test_cells_fill_without_a_reload(page: Page) -> None:
    send(page, "long.pdf", num_pages=40)
    page.wait_for_selector(".cell", timeout=READ_MS)
    page.evaluate("window.isSamePage = true")
    page.wait_for_selector(".cell[data-state=ok]", timeout=READ_MS)
    if page.locator("#badge").inner_text() == "reading":
        assert page.evaluate("window.isSamePage")
    expect(page.locator("#badge")).to_have_text("complete", timeout=READ_MS)
    expect(page.locator(".cell[data-state=ok]")).to_have_count(40)


def test_page_view_shows_image_and_text_and_keys_turn_pages(page: Page) -> None:
    send(page, "view.pdf")
    expect(page.locator("#badge")).to_have_text("complete", timeout=READ_MS)
    page.click("#c1")
    expect(page.locator("h1")).to_have_text("Page 1")
    assert page.locator(".frame img").evaluate("image => image.complete && image.naturalWidth > 0")
    expect(page.locator("#text")).to_contain_text("page 1")
    page.keyboard.press("ArrowRight")
    expect(page.locator("h1")).to_have_text("Page 2")


def test_several_files_become_a_batch(page: Page) -> None:
    send(page, "one.pdf", "two.pdf")
    expect(page.locator("[data-job]")).to_have_count(2, timeout=READ_MS)
    expect(page.locator("[data-job] .badge")).to_have_text(["complete", "complete"], timeout=READ_MS)


def test_file_that_is_no_document_is_refused_in_place(page: Page) -> None:
    page.set_input_files("#file", [{"name": "notes.txt", "mimeType": "text/plain", "buffer": b"hello"}])
    page.click("#send")
    expect(page.locator(".what")).to_contain_text("notes.txt")
    expect(page.locator("#status")).to_contain_text("not taken")


def test_job_is_cancelled_and_deleted(page: Page) -> None:
    send(page, "cancel.pdf", num_pages=300)
    page.get_by_role("button", name="Cancel").click(timeout=READ_MS)
    expect(page.locator("#badge")).to_have_text("cancelled", timeout=READ_MS)
    page.click("summary:has-text('Delete')")
    page.click("text=Delete for good")
    expect(page.locator("h1")).to_have_text("Jobs")
    expect(page.locator("text=cancel.pdf")).to_have_count(0)


def test_hostile_name_is_only_text(page: Page) -> None:
    send(page, EVIL)
    expect(page.locator("#badge")).to_have_text("complete", timeout=READ_MS)
    assert page.locator("main img").count() == 0


def test_upload_works_without_javascript(browser: Browser, stack: Stack) -> None:
    context = browser.new_context(base_url=stack.base_url, java_script_enabled=False)
    page = context.new_page()
    page.goto("/")
    send(page, "plain.pdf")
    expect(page.locator("#badge")).to_have_text("complete", timeout=READ_MS)
    expect(page.locator("#page-1")).to_contain_text("page 1")
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_phone_width_needs_no_sideways_scrolling(browser: Browser, stack: Stack, scheme: str) -> None:
    context = browser.new_context(
        base_url=stack.base_url,
        viewport={"width": 360, "height": 740},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    page = context.new_page()
    for path in ("/", "/jobs", "/docs"):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
    is_dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(22, 25, 27)"
    assert is_dark == (scheme == "dark")
    context.close()
