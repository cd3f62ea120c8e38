"""The pages in a real Chromium on a real stack: send a document, watch its pages, read it, take it away."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, FilePayload, Page, expect
from services import make_pdf, wait_until

from tasks.ledger import connect
from web.stack.stack import Stack

pytestmark = [pytest.mark.browser, pytest.mark.e2e]

READ_MS = 60_000
EVIL = "<img src=x onerror=alert(1)>.pdf"


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
    files = [FilePayload(name=name, mimeType="application/pdf", buffer=make_pdf(num_pages)) for name in names]
    page.set_input_files("#file", files)
    page.click("#send")


def test_schema_is_built_of_fields_and_a_pasted_one_is_shown_as_fields(page: Page) -> None:
    page.click(".options summary")
    page.select_option("#task", "extract")
    rows = page.locator("#builder > .rows > li")
    rows.nth(0).get_by_label("Name").fill("total")
    rows.nth(0).get_by_label("Type").select_option("number")
    rows.nth(0).get_by_label("Description").fill("with tax")
    page.click("#add-value")
    rows.nth(1).get_by_label("Name").fill("items")
    rows.nth(1).get_by_label("list").check()
    rows.nth(1).get_by_label("Type").first.select_option("object")
    rows.nth(1).locator(".rows").get_by_label("Name").fill("day")
    rows.nth(1).locator(".rows").get_by_label("Type").select_option("date")
    day = {"type": "object", "properties": {"day": {"type": "string", "format": "date"}}}
    total = {"type": "number", "description": "with tax"}
    built = {"type": "object", "properties": {"total": total, "items": {"type": "array", "items": day}}}
    schema = page.locator("#schema")
    assert json.loads(schema.input_value()) == built
    rows.nth(0).get_by_role("button", name="Remove").click()
    assert list(json.loads(schema.input_value())["properties"]) == ["items"]
    schema.fill(json.dumps(built))
    schema.dispatch_event("change")
    expect(rows).to_have_count(2)
    expect(rows.nth(0).get_by_label("Description")).to_have_value("with tax")
    schema.fill('{"type": "object", "properties": {"a": {"enum": ["b"]}}}')
    schema.dispatch_event("change")
    expect(page.locator("#builder-note")).to_be_visible()
    expect(rows).to_have_count(0)


def test_document_is_sent_watched_read_and_taken_away(page: Page, tmp_path: Path) -> None:
    send(page, "report.pdf", num_pages=5)
    expect(page.locator("h1")).to_have_text("report.pdf", timeout=READ_MS)
    expect(page.locator("#badge")).to_have_text("complete", timeout=READ_MS)
    expect(page.locator(".cell[data-state=ok]")).to_have_count(5)
    numbers = page.locator(".sheet").evaluate_all("nodes => nodes.map((node) => node.dataset.number)")
    assert numbers == [str(number) for number in range(1, 6)]
    page.click("#downloads summary")
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
    expect(page.locator("#badge")).to_have_text("complete", timeout=READ_MS)
    expect(page.locator(".cell[data-state=ok]")).to_have_count(40)
    assert page.evaluate("window.isSamePage")


def test_page_view_shows_image_and_text_and_keys_turn_pages(page: Page) -> None:
    send(page, "view.pdf")
    expect(page.locator("#badge")).to_have_text("complete", timeout=READ_MS)
    page.click("#page-1 .head a")
    expect(page.locator("h1")).to_have_text("Page 1")
    assert page.locator(".frame img").evaluate("image => image.complete && image.naturalWidth > 0")
    expect(page.locator("#text")).to_contain_text("page 1")
    page.wait_for_load_state()
    page.keyboard.press("ArrowRight")
    expect(page.locator("h1")).to_have_text("Page 2")


def test_several_files_become_a_batch(page: Page) -> None:
    send(page, "one.pdf", "two.pdf")
    expect(page.locator("[data-job]")).to_have_count(2, timeout=READ_MS)
    expect(page.locator("[data-job] .badge")).to_have_text(["complete", "complete"], timeout=READ_MS)


def test_file_that_is_no_document_is_refused_in_place(page: Page) -> None:
    page.set_input_files("#file", [FilePayload(name="notes.txt", mimeType="text/plain", buffer=b"hello")])
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
    assert page.locator("main img[src=x]").count() == 0


def test_upload_works_without_javascript(browser: Browser, stack: Stack) -> None:
    context = browser.new_context(base_url=stack.base_url, java_script_enabled=False)
    page = context.new_page()
    page.goto("/")
    send(page, "plain.pdf")
    expect(page.locator("#badge")).to_have_text("complete", timeout=READ_MS)
    expect(page.locator("#page-1")).to_contain_text("page 1")
    page.click("#downloads summary")
    with page.expect_download() as taken:
        page.get_by_role("link", name="Plain text").click()
    assert "page 3" in taken.value.path().read_text()
    context.close()


def test_page_that_is_being_read_shows_its_text_as_it_grows(page: Page, stack: Stack) -> None:
    page.click("text=Options")
    page.fill("#prompt", "!slow 2 12 " + "and so on " * 50)
    send(page, "slow.pdf")
    expect(page.locator("#live")).to_be_visible(timeout=READ_MS)
    expect(page.locator("#live h2")).to_have_text("Reading page 2")
    text = page.locator("#live-text")
    expect(text).to_have_text(re.compile("^page 2 of"))
    length = len(text.inner_text())
    wait_until(lambda: len(text.inner_text()) > length, 5, "a longer text")
    with page.context.expect_page() as opened:
        page.locator("#live h2 a").click(modifiers=["Control"])
    view = opened.value
    expect(view.locator("#text.growing")).to_have_text(re.compile("^page 2 of"))
    expect(view.locator("#badge")).to_have_text("being read")
    expect(page.locator("#badge")).to_have_text("complete", timeout=READ_MS)
    expect(page.locator("#live")).to_be_hidden()
    expect(view.locator("#badge")).to_have_text("read", timeout=READ_MS)
    expect(view.locator("#text")).to_contain_text("and so on")
    with closing(connect(stack.redis_url)) as redis:
        wait_until(lambda: not redis.keys("pf:partial:*"), 5, "no partial text left")


def test_url_is_sent_with_the_forms_options(page: Page) -> None:
    page.click("text=Options")
    page.fill("#pages", "1-2")
    page.fill("#url", "https://nowhere.invalid/papers/report.pdf")
    page.click("#send")
    expect(page.locator("h1")).to_have_text("report.pdf")
    job = page.evaluate("fetch(document.getElementById('job').dataset.self).then((answer) => answer.json())")
    assert job["options"]["pages"] == "1-2"


def test_url_that_is_refused_says_why_and_can_be_removed(page: Page) -> None:
    page.fill("#url", "http://127.0.0.1/secret.pdf")
    page.click("#send")
    expect(page.locator(".what")).to_contain_text("127.0.0.1")
    page.get_by_role("button", name="Remove http").click()
    expect(page.locator("#chosen li")).to_have_count(0)
    page.click("#send")
    expect(page.locator("#status")).to_have_text("Choose a file or give an address first.")


PASTE = """([target, names, text]) => {
  const data = new DataTransfer();
  for (const name of names) data.items.add(new File(["x".repeat(name.length)], name, { type: "image/png" }));
  if (text) data.setData("text/plain", text);
  const event = new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true });
  document.querySelector(target).dispatchEvent(event);
}"""


def test_files_and_addresses_are_pasted_dropped_and_photographed(page: Page) -> None:
    page.evaluate(PASTE, ["body", ["image.png", "second.png"], ""])
    page.evaluate(PASTE, ["body", [], "see https://a.example/1.pdf\nhttp://b.example/2.pdf and javascript:alert(1)"])
    page.evaluate(PASTE, ["#prompt", [], "https://c.example/in-a-text-field.pdf"])
    page.set_input_files("#camera", [FilePayload(name="photo.jpg", mimeType="image/jpeg", buffer=b"x")])
    names = page.locator(".chosen .name")
    expect(names).to_have_text(
        ["image.png", "second.png", "https://a.example/1.pdf", "http://b.example/2.pdf", "photo.jpg"]
    )
    expect(page.locator("#send")).to_have_text("Read 5 documents")
    page.get_by_role("button", name="Remove second.png").click()
    expect(names).to_have_count(4)


def test_camera_is_offered_where_there_is_a_touch_screen(browser: Browser, stack: Stack) -> None:
    context = browser.new_context(
        base_url=stack.base_url, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True
    )
    page = context.new_page()
    page.goto("/")
    expect(page.get_by_text("Take a photo of a page")).to_be_visible()
    assert page.locator("#camera").get_attribute("capture") == "environment"
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
