"""The page view and the reader of a job in a real Chromium: scan and text show each other, pages come when needed."""

from __future__ import annotations

import pytest
from documents import save_readable
from playwright.sync_api import Browser, Locator, Page, expect
from services import wait_until
from web_service import WebService

from web.api.outputs import LineOut
from web.site.reading import line_html

pytestmark = pytest.mark.browser


@pytest.fixture
def job_id(web: WebService) -> str:
    job_id = web.open(3, name="ships.pdf")
    save_readable(job_id)
    web.read(job_id, 2)
    save_readable(job_id, 3)
    web.finish(job_id)
    return job_id


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


@pytest.mark.parametrize(
    ("confidence", "doubts", "expected"),
    [
        (0.9, [], "<span>several &lt;seas&gt;</span>"),
        (0.5, [], "<span data-unsure>several &lt;seas&gt;</span>"),
        (0.5, ["<seas>-"], "<span>several <span data-unsure>&lt;seas&gt;</span></span>"),
    ],
)
def test_words_in_doubt_are_marked_each_or_else_the_line(confidence: float, doubts: list[str], expected: str) -> None:
    line = LineOut(text="several <seas>-", box=(0, 0, 9, 9), confidence=confidence, doubts=doubts)
    html = line_html(0, "several <seas>", line)
    assert html == expected.replace("<span", '<span class="line" data-line="0"', 1)


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


def long_job(web: WebService, num_pages: int) -> str:
    job_id = web.open(num_pages, name="long.pdf")
    for number in range(1, num_pages + 1):
        web.read(job_id, number, width=200, height=300)
    web.finish(job_id)
    return job_id


def numbers_here(view: Page) -> list[int]:
    """The pages whose text the browser has."""
    found = view.locator(".sheet:not(.far)").evaluate_all("nodes => nodes.map((node) => Number(node.dataset.number))")
    return [int(number) for number in found]


def test_reader_shows_scan_and_document_and_marks_both(view: Page, job_id: str) -> None:
    view.goto(f"/jobs/{job_id}")
    sheet = view.locator("#page-1")
    expect(sheet.locator(".words h3")).to_have_text("Ships of the north")
    expect(sheet.locator(".words")).not_to_contain_text("running foot")
    assert sheet.locator(".frame img").evaluate("image => image.loading") == "lazy"
    sheet.locator("td", has_text="Ann").locator(".line").hover()
    assert lit(view) == ["table", "6", "|", "table", "6"]
    view.locator("#page-2 .words").hover()
    assert lit(view) == ["|"]
    view.check("#view-text")
    expect(sheet.locator(".scan")).to_be_hidden()
    view.check("#view-scan")
    expect(sheet.locator(".words")).to_be_hidden()
    expect(view.locator("#page-2 .words")).to_be_visible()  # there is no scan of it


def test_pages_come_as_they_are_near_and_go_when_they_are_far(view: Page, web: WebService) -> None:
    view.goto(f"/jobs/{long_job(web, 300)}")
    expect(view.locator(".sheet")).to_have_count(300)
    view.fill("#jump", "250")
    view.keyboard.press("Enter")
    expect(view.locator("#page-250 .words")).to_contain_text("page 250")
    expect(view.locator("#page-250")).to_be_in_viewport()
    expect(view.locator("#c250")).to_have_attribute("aria-current", "true")
    expect(view.locator("#page-1")).to_have_class("sheet far")
    here = numbers_here(view)
    assert 250 in here
    assert len(here) < 100


def test_keys_turn_pages_and_copy(view: Page, web: WebService, job_id: str) -> None:
    view.goto(f"/jobs/{long_job(web, 30)}")
    for key, number in (("j", 2), ("j", 3), ("k", 2), ("ArrowRight", 3), ("ArrowLeft", 2)):
        view.keyboard.press(key)
        expect(view.locator("[aria-current=true]")).to_have_text(str(number))
    view.keyboard.press("g")
    view.keyboard.type("25")
    view.keyboard.press("Enter")
    expect(view.locator("[aria-current=true]")).to_have_text("25")
    view.keyboard.press("n")
    expect(view.locator("[aria-current=true]")).to_have_text("25")
    view.goto(f"/jobs/{job_id}")
    for number in (3, 1):  # those whose engine was unsure
        view.keyboard.press("n")
        expect(view.locator("[aria-current=true]")).to_have_text(str(number))
    view.keyboard.press("c")
    expect(view.locator("#page-1 .copy")).to_have_text("Copied")
    assert view.evaluate("navigator.clipboard.readText()").startswith("# Ships of the north")
    view.click("#copy-all")
    expect(view.locator("#copy-all")).to_have_text("Copied")
    copied = view.evaluate("navigator.clipboard.readText()")
    assert "# Ships of the north" in copied
    assert "page 2" in copied


def test_pages_fill_in_place_and_nothing_reloads_at_the_end(view: Page, web: WebService) -> None:
    job_id = web.open(3, name="ships.pdf")
    web.read(job_id, 1, "the first page", width=200, height=300)
    view.goto(f"/jobs/{job_id}")
    wait_until(lambda: web.ledger.redis.exists(f"pf:watched:{job_id}"), 10)
    view.evaluate("window.isSamePage = true")
    view.locator("#page-1 .plain").select_text()
    chosen = view.evaluate("getSelection().toString()")
    assert chosen
    save_readable(job_id, 2)
    expect(view.locator("#page-2 .words h3")).to_have_text("Ships of the north")
    expect(view).to_have_title("(66 %) ships.pdf")
    expect(view.locator("#page-1 .correct")).to_be_hidden()
    web.fail(job_id, 3)
    web.finish(job_id)
    expect(view.locator("#badge")).to_have_text("partly read")
    expect(view.locator("#downloads")).to_be_visible()
    expect(view.locator("#page-3")).to_contain_text("It took longer")
    expect(view.locator("#faults")).to_contain_text("Page 3")
    expect(view).to_have_title("ships.pdf · Pagefan")
    expect(view.locator("#page-1 .correct")).to_be_visible()
    assert view.evaluate("window.isSamePage")
    assert view.evaluate("getSelection().toString()") == chosen


def test_reader_without_javascript_goes_on_page_by_page(browser: Browser, web: WebService, url: str) -> None:
    context = browser.new_context(base_url=url, java_script_enabled=False)
    view = context.new_page()
    view.goto(f"/jobs/{long_job(web, 25)}")
    expect(view.locator(".sheet")).to_have_count(10)
    view.click("text=Read on at page 11")
    expect(view.locator(".sheet h3").first).to_have_text("Page 11")
    view.click("#downloads summary")
    expect(view.get_by_role("link", name="Searchable PDF")).to_be_visible()
    context.close()


def test_words_are_found_in_all_pages_and_gone_through(view: Page, web: WebService) -> None:
    job_id = web.open(40, name="book.pdf")
    for number in range(1, 41):
        text = "An oil\nlamp. Another Oil lamp." if number == 2 else "oil lamp (c)" if number == 38 else "nothing"
        web.read(job_id, number, text, width=200, height=300)
    web.finish(job_id)
    view.goto(f"/jobs/{job_id}")
    view.keyboard.press("/")
    view.keyboard.type("oil  LAMP")
    view.keyboard.press("Enter")
    expect(view.locator("#found")).to_have_text("1 of 3 on 2 pages")
    assert view.locator(".cell[data-hit]").all_text_contents() == ["2", "38"]
    view.keyboard.press("Enter")
    view.keyboard.press("Enter")
    expect(view.locator("#found")).to_have_text("3 of 3 on 2 pages")
    expect(view.locator("#page-38 .words")).to_be_in_viewport()
    assert view.evaluate("[...CSS.highlights.get('found-here')].map(String)") == ["oil lamp"]
    view.keyboard.press("Shift+Enter")
    expect(view.locator("#found")).to_have_text("2 of 3 on 2 pages")
    view.fill("#find-words", "lamp")  # from where one is
    view.keyboard.press("Enter")
    expect(view.locator("#found")).to_have_text("1 of 3 on 2 pages")
    view.fill("#find-words", "(c")
    view.keyboard.press("Enter")
    expect(view.locator("#found")).to_have_text("1 of 1 on 1 page")
    view.fill("#find-words", "whale")
    view.keyboard.press("Enter")
    expect(view.locator("#found")).to_have_text("Nothing found")
    expect(view.locator(".cell[data-hit]")).to_have_count(0)
