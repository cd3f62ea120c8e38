"""Every page for people passes axe-core's serious checks, light and dark, at a desk and on a phone; keys suffice."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from documents import save_readable
from playwright.sync_api import Browser, FilePayload, Page, expect
from services import wait_until
from web_service import WebService, page

from tasks.page_end import save_text

pytestmark = pytest.mark.browser

DESK, PHONE = (1280, 900), (360, 740)
GRAVE = ("serious", "critical")
MARKDOWN = (
    "# Annual report\n\nA paragraph with a [link](https://example.com/).\n\n| Year | Sum |\n| --- | --- |\n| 1 | 2 |\n"
)


def ended_job(web: WebService) -> str:
    """Pages in every state a page can end in, with an image, blocks of many kinds and a fault to look at."""
    job_id = web.open(5)
    save_readable(job_id, 1)
    save_text(page(job_id, 2), MARKDOWN, engine="vlm", seconds=0.5, text_layer_recall=0.5)
    web.read(job_id, 3, "", state="blank")
    web.fail(job_id, 4)
    web.read(job_id, 5, "half a page", state="fallback", reason="repetition")
    web.finish(job_id)
    return job_id


def running_job(web: WebService) -> str:
    job_id = web.open(40, name="running.pdf")
    web.read(job_id, 1, "The first page has been read.")
    web.fail(job_id, 2)
    web.ledger.move(page(job_id, 4), "preparing")
    web.ledger.move(page(job_id, 5), "ready")
    return job_id


def open_page(browser: Browser, url: str, *, size: tuple[int, int] = DESK, dark: bool = False) -> Page:
    context = browser.new_context(
        base_url=url,
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if dark else "light",
        reduced_motion="reduce",  # a colour on its way from one state to the other has no contrast to measure
        has_touch=size == PHONE,
        is_mobile=size == PHONE,
    )
    return context.new_page()


def check(view: Page) -> None:
    """No serious violation, no sideways scrolling."""
    violations = Axe().run(view).response["violations"]
    found = [
        (violation["id"], node["target"], node["failureSummary"])
        for violation in violations
        if violation["impact"] in GRAVE
        for node in violation["nodes"]
    ]
    assert not found, view.url
    assert view.evaluate("document.documentElement.scrollWidth <= innerWidth"), view.url


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_no_page_has_a_serious_violation(
    browser: Browser, web: WebService, url: str, size: tuple[int, int], dark: bool
) -> None:
    job_id, running = ended_job(web), running_job(web)
    failed = web.submit(name="failed.pdf")
    web.ledger.begin_split(failed)
    web.ledger.end_job(failed, "failed", error={"reason": "corrupt", "detail": "The file is damaged."})
    view = open_page(browser, url, size=size, dark=dark)
    pages = [f"/jobs/{job_id}/pages/{number}" for number in (1, 2, 4)]
    for path in (
        "/",
        "/jobs",
        "/jobs?q=report&state=partial",
        "/system",
        f"/jobs/{job_id}",
        f"/jobs/{failed}",
        *pages,
        "/login",
        "/docs",
        "/jobs/unknown",
    ):
        view.goto(path)
        for details in view.locator("details").all():
            details.evaluate("node => { node.open = true; }")
        check(view)
    view.goto(f"/jobs/{running}")
    wait_until(lambda: web.ledger.redis.exists(f"pf:watched:{running}"), 10)
    web.begin(running, 3, "What the engine has read so far. " * 60)
    expect(view.locator("#live-text")).to_be_visible()
    check(view)
    view.goto(f"/jobs/{running}/pages/3")
    expect(view.locator("#text")).to_be_visible()
    check(view)
    view.context.close()


def test_upload_form_is_sound_with_documents_chosen_and_refused(browser: Browser, url: str) -> None:
    view = open_page(browser, url)
    view.goto("/")
    view.set_input_files("#file", [FilePayload(name="notes.pdf", mimeType="application/pdf", buffer=b"hello")])
    view.fill("#url", "https://example.com/a.pdf")
    view.click("#add-url")
    check(view)
    view.click("#send")
    expect(view.locator(".what")).to_have_count(1)
    check(view)
    view.context.close()


FOCUSED = """() => {
  const node = document.activeElement;
  const seen = [node, node.closest(".drop"), node.closest(".camera")?.querySelector("label")].filter(Boolean);
  const ring = seen.some((one) => getComputedStyle(one).outlineStyle !== "none");
  return { name: node.id || node.textContent.trim(), ring, isPage: node === document.body };
}"""


def tab_through(view: Page, most: int = 80) -> list[str]:
    """What the Tab key reaches, in order; each must show that it has the focus."""
    names: list[str] = []
    for _ in range(most):
        view.keyboard.press("Tab")
        focused = view.evaluate(FOCUSED)
        if focused["isPage"]:
            break
        assert focused["ring"], focused
        names.append(focused["name"])
    return names


def test_keyboard_alone_sends_a_document(browser: Browser, url: str) -> None:
    view = open_page(browser, url)
    view.goto("/")
    names = tab_through(view)
    assert names[0] == "Skip to the content"
    assert [name for name in names if name in ("file", "url", "add-url", "send")] == ["file", "url", "add-url", "send"]
    view.focus("#url")
    view.keyboard.type("https://example.com/report.pdf")
    view.keyboard.press("Enter")
    expect(view.locator("h1")).to_have_text("report.pdf")
    view.context.close()


def test_keyboard_reaches_every_cell_and_leads_to_its_page(browser: Browser, web: WebService, url: str) -> None:
    job_id = ended_job(web)
    view = open_page(browser, url)
    view.goto(f"/jobs/{job_id}")
    assert [name for name in tab_through(view) if name[1:].isdecimal()] == ["c1", "c2", "c3", "c4", "c5"]
    view.focus("#c4")
    view.keyboard.press("Enter")
    expect(view.locator("#page-4")).to_be_in_viewport()
    view.focus("#page-4 .head a")
    view.keyboard.press("Enter")
    expect(view.locator("h1")).to_have_text("Page 4")
    view.wait_for_load_state()  # with its script
    view.keyboard.press("ArrowLeft")
    expect(view.locator("h1")).to_have_text("Page 3")
    view.context.close()


def test_screen_reader_hears_progress_but_not_every_word(browser: Browser, web: WebService, url: str) -> None:
    job_id = running_job(web)
    view = open_page(browser, url)
    view.goto(f"/jobs/{job_id}")
    loud = view.locator("[role=status], [role=alert], [role=log], [aria-live=polite], [aria-live=assertive]")
    assert loud.evaluate_all("nodes => nodes.map((node) => node.id)") == ["spoken"]
    assert view.locator("#live-text").get_attribute("aria-live") == "off"
    assert view.locator("#c2").get_attribute("aria-label") == "Page 2, failed"
    view.context.close()
