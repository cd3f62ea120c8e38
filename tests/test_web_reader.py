"""The page view in a real Chromium: what stands on the scan and what was read of it show each other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from documents import save_readable
from playwright.sync_api import Browser, Locator, Page, expect
from web_service import WebService

pytestmark = pytest.mark.browser


@pytest.fixture
def job_id(web: WebService) -> str:
    job_id = web.open(2, name="ships.pdf")
    save_readable(job_id)
    web.read(job_id, 2)
    web.finish(job_id)
    return job_id


@pytest.fixture
def view(browser: Browser, url: str) -> Iterator[Page]:
    """A page of a browser; the test fails if anything goes wrong in its console, or if it asks another site."""
    context = browser.new_context(
        base_url=url, permissions=["clipboard-read", "clipboard-write"], reduced_motion="reduce"
    )
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("request", lambda request: complaints.append(request.url) if not request.url.startswith(url) else None)
    yield page
    assert not complaints
    context.close()


def lit(view: Page) -> list[str]:
    """What is marked: kind or line, on the scan and in the text."""
    script = "nodes => nodes.map((node) => node.dataset.line ?? node.dataset.kind).filter(Boolean)"
    scan, words = view.locator(".scan .lit"), view.locator(".words .lit")
    return [*scan.evaluate_all(script), "|", *words.evaluate_all(script)]


def centre(node: Locator) -> tuple[float, float]:
    box = node.bounding_box()
    assert box
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_page_is_rendered_from_its_blocks(view: Page, job_id: str) -> None:
    view.goto(f"/jobs/{job_id}/pages/1")
    text = view.locator("#text")
    expect(text.locator("h3")).to_have_text("Ships of the north")
    expect(text.locator("p").first).to_have_text("They carry oil over the several seas & <never> rest.")
    expect(text.locator("li")).to_have_text("first")
    assert text.locator("tr").all_inner_texts() == ["Ship\tLoad", "Ann\t12"]
    assert text.locator("img").evaluate("image => image.complete && image.naturalWidth > 0")
    expect(text.locator("[data-unsure]")).to_have_text("ral seas & <never> rest.")


def test_text_that_is_pointed_at_is_marked_on_the_scan_and_the_other_way_round(view: Page, job_id: str) -> None:
    view.goto(f"/jobs/{job_id}/pages/1")
    view.locator("td", has_text="12").locator(".line").hover()
    assert lit(view) == ["table", "7", "|", "table", "7"]
    expect(view.locator(".scan text", has_text="table")).to_be_visible()
    view.locator(".rendered figure img").hover()
    assert lit(view) == ["figure", "|", "figure"]
    view.mouse.move(*centre(view.locator(".frame rect[data-line='2']")))
    assert lit(view) == ["paragraph", "2", "|", "paragraph", "2"]
    view.mouse.move(*centre(view.locator(".frame [data-kind=figure] rect")))
    assert lit(view) == ["figure", "|", "figure"]
    view.locator("h1").hover()
    assert lit(view) == ["|"]


def test_arrow_keys_go_through_the_lines_and_the_blocks_without_any(view: Page, job_id: str) -> None:
    view.goto(f"/jobs/{job_id}/pages/1")
    view.focus("#text")
    view.keyboard.press("ArrowDown")
    assert lit(view) == ["heading", "0", "|", "heading", "0"]
    for _ in range(8):
        view.keyboard.press("ArrowDown")
    assert lit(view) == ["figure", "|", "figure"]
    view.keyboard.press("ArrowUp")
    assert lit(view) == ["table", "7", "|", "table", "7"]


def test_copy_takes_the_pages_markdown(view: Page, job_id: str) -> None:
    view.goto(f"/jobs/{job_id}/pages/1")
    view.click("#copy")
    expect(view.locator("#copy")).to_have_text("Copied")
    copied = view.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("# Ships of the north\n\nThey carry oil over the several seas")
    assert "| Ship | Load |\n| --- | --- |\n| Ann | 12 |" in copied
    assert "running foot" not in copied


def test_all_blocks_are_outlined_without_javascript(browser: Browser, url: str, job_id: str) -> None:
    context = browser.new_context(base_url=url, java_script_enabled=False)
    view = context.new_page()
    view.goto(f"/jobs/{job_id}/pages/1")
    label = view.locator(".scan text", has_text="heading 1")
    expect(label).to_be_hidden()
    view.check("#outlines")
    expect(label).to_be_visible()
    expect(view.locator("#text table")).to_be_visible()
    context.close()
