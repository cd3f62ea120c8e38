"""What people change in the reader, in a real Chromium: they correct a page and take that back."""

from __future__ import annotations

import pytest
from documents import save_readable
from playwright.sync_api import APIResponse, Page, Route, expect
from services import wait_until
from web_service import WebService

from tasks import passwords

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("no_worker")]


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


def test_those_to_look_at_are_counted_and_gone_through(view: Page, job_id: str) -> None:
    view.goto(f"/jobs/{job_id}")
    button = view.locator("#next-look")
    expect(button).to_have_text("2 to look at ›")
    button.click()
    expect(view.locator("[aria-current=true]")).to_have_text("2")
    view.locator("#page-2 .correct").click()
    view.keyboard.press("Control+A")
    view.keyboard.type("right")
    view.keyboard.press("Control+Enter")
    expect(button).to_have_text("1 to look at ›")


def test_page_is_read_again_in_place(view: Page, web: WebService, job_id: str) -> None:
    view.goto(f"/jobs/{job_id}")
    view.evaluate("window.isSamePage = true")
    view.locator("#page-2 .reread").click()
    view.fill("#again-dpi", "5")
    view.click("#again .primary")
    expect(view.locator("#again")).to_be_visible()  # the browser refuses such a resolution
    view.fill("#again-dpi", "300")
    view.click("#again .primary")
    expect(view.locator("#badge")).to_have_text("reading")
    expect(view.locator("#c2")).to_have_attribute("data-state", "queued")
    assert web.ledger.run_options(job_id, 2) == {"dpi": 300}
    web.read(job_id, 2, "better", run=2)
    expect(view.locator("#page-2 .words")).to_contain_text("better")
    web.finish(job_id)
    expect(view.locator("#badge")).to_have_text("complete")
    expect(view.locator("#downloads")).to_be_visible()
    assert view.evaluate("window.isSamePage")


def test_page_that_ends_while_it_is_fetched_is_fetched_again(view: Page, web: WebService, job_id: str) -> None:
    view.goto(f"/jobs/{job_id}")
    held: list[tuple[Route, APIResponse]] = []
    view.route("**/pages/2/fragment", lambda route: held.append((route, route.fetch())), times=1)
    view.locator("#page-2 .reread").click()
    view.click("#again .primary")
    wait_until(lambda: view.evaluate("1") and held, 10, "the fetch of a page that waits")
    web.read(job_id, 2, "better", run=2)
    expect(view.locator("#c2")).to_have_attribute("data-state", "ok")
    route, answer = held[0]
    route.fulfill(response=answer)
    expect(view.locator("#page-2 .words")).to_contain_text("better")


def test_locked_document_is_opened_with_a_password_and_renamed(view: Page, web: WebService) -> None:
    job_id = web.submit(name="secret.pdf")
    web.ledger.begin_split(job_id)
    web.ledger.end_job(job_id, "failed", error={"reason": "encrypted", "detail": "The PDF needs a password."})
    view.goto(f"/jobs/{job_id}")
    expect(view.locator(".locked h2")).to_have_text("This PDF is locked")
    view.fill("#unlock", "open sesame")
    view.keyboard.press("Enter")
    expect(view.locator("#badge")).to_have_text("waiting")
    assert web.job(job_id).options.has_password
    assert passwords.read(job_id, 1) == "open sesame"
    view.locator(".rename summary").click()
    view.fill("#name", "Letters/of 1890.pdf")
    view.keyboard.press("Enter")
    expect(view.locator("h1")).to_have_text("of 1890.pdf")


def test_browser_tells_of_the_end_where_that_is_wanted(view: Page, web: WebService) -> None:
    view.add_init_script(
        "window.told = []; class Told extends EventTarget { static permission = 'default';"
        " static requestPermission() { return Promise.resolve('granted'); }"
        " constructor(title, { body }) { super(); told.push(`${title}: ${body}`); } };"
        " Object.defineProperty(window, 'Notification', { value: Told });"
    )
    job_id = web.open(1, name="ships.pdf")
    view.goto(f"/jobs/{job_id}")
    view.click("#tell")
    expect(view.locator("#tell")).to_have_text("You will be told")
    web.read(job_id, 1)
    web.finish(job_id)
    expect(view.locator("#badge")).to_have_text("complete")
    assert view.evaluate("told") == ["ships.pdf: complete"]
