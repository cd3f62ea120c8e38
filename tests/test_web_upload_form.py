"""The upload form in a real Chromium: folders, files of one name, presets, options of last time, errors in words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, FilePayload, Page, expect
from services import make_pdf
from web_service import WebService, served, web_service

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("no_worker")]


@pytest.fixture(scope="module")
def asked(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[WebService, str]]:
    """A server whose engine can be asked."""
    folder = tmp_path_factory.mktemp("form")
    with (
        pytest.MonkeyPatch.context() as monkeypatch,
        web_service(redis_url, folder, monkeypatch, engine="echo") as web,
        served(web) as url,
    ):
        yield web, url


@pytest.fixture
def form(browser: Browser, asked: tuple[WebService, str]) -> Iterator[Page]:
    context = browser.new_context(base_url=asked[1], reduced_motion="reduce")
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto("/")
    yield page
    assert not errors
    context.close()


def pdf(name: str, num_pages: int = 1) -> FilePayload:
    return FilePayload(name=name, mimeType="application/pdf", buffer=make_pdf(num_pages))


def drop(page: Page, *paths: Path) -> None:
    """Drop files and folders of this machine on the page, as a person does."""
    box = page.locator("#drop").bounding_box()
    assert box is not None
    session = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, "x": box["x"] + 40, "y": box["y"] + 40, "data": data})


def test_a_folder_is_dropped_and_its_files_are_kept_apart(form: Page, tmp_path: Path) -> None:
    top = tmp_path / "papers"
    for folder in ("a", "b/deep"):
        (top / folder).mkdir(parents=True)
        (top / folder / "report.pdf").write_bytes(make_pdf(1))
    (top / "notes.txt").write_text("no document")
    (top / ".hidden.pdf").write_bytes(make_pdf(1))
    drop(form, top)
    expect(form.locator(".chosen .name")).to_have_text(["papers/a/report.pdf", "papers/b/deep/report.pdf"])
    expect(form.locator("#status")).to_have_text("1 file of other kinds left out: notes.txt.")
    form.click("#send")
    expect(form.locator("[data-job] .name")).to_have_text(["report.pdf", "report.pdf"])
    assert sorted(form.locator("[data-job] .path").all_text_contents()) == ["papers/a", "papers/b/deep"]


def test_a_file_is_taken_once_and_that_is_told(form: Page) -> None:
    form.set_input_files("#file", [pdf("report.pdf"), pdf("report.pdf", 2)])
    expect(form.locator(".chosen li")).to_have_count(2)
    form.evaluate("""() => {
      const file = new File(["x"], "same.pdf", { lastModified: 5 });
      const other = new File(["y"], "same.pdf", { lastModified: 5 });
      for (const one of [file, file, other]) {
        const data = new DataTransfer();
        data.items.add(one);
        document.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true }));
      }
    }""")
    expect(form.locator(".chosen .name")).to_have_text(["report.pdf", "report.pdf", "same.pdf", "same.pdf"])


def test_a_question_is_asked_by_a_preset(form: Page, asked: tuple[WebService, str]) -> None:
    expect(form.locator("#question-field")).to_be_hidden()
    form.get_by_text("Ask a question").click()
    form.fill("#question", "Who kept the lamps?")
    form.set_input_files("#file", pdf("lamps.pdf"))
    form.click("#send")
    form.wait_for_url(re.compile("/jobs/[0-9a-f]{16}"))
    job = asked[0].job(form.url.split("/jobs/")[1][:16])
    assert (job.options.task, job.options.question) == ("ask", "Who kept the lamps?")


def test_options_are_as_they_were_last(form: Page) -> None:
    form.get_by_text("Scan to searchable PDF").click()
    form.click("text=Options")
    form.select_option("#priority", "high")
    form.fill("#pages", "1")
    form.fill("#password", "sesame")
    form.set_input_files("#file", pdf("scan.pdf"))
    form.click("#send")
    form.wait_for_url(re.compile("/jobs/[0-9a-f]{16}.*for=pdf"))
    form.goto("/")
    expect(form.locator("#priority")).to_have_value("high")
    expect(form.locator("#pages")).to_have_value("")
    expect(form.locator("#password")).to_have_value("")
    expect(form.get_by_label("Scan to searchable PDF")).to_be_checked()
    form.get_by_role("button", name="Back to the usual ones").click()
    expect(form.locator("#priority")).to_have_value("normal")
    form.reload()
    expect(form.locator("#remembered")).to_be_hidden()
    expect(form.get_by_label("Paper to Markdown")).to_be_checked()


def test_what_is_wrong_is_said_once_where_it_is_mended(form: Page) -> None:
    form.click("text=Options")
    form.fill("#pages", "3-x")
    form.set_input_files("#file", [pdf("a.pdf"), pdf("b.pdf")])
    form.click("#send")
    expect(form.locator("#status")).to_have_text("2 documents not taken; see above.")
    expect(form.locator(".what")).to_have_text(["Not sent: mend “Pages” in the options."] * 2)
    expect(form.locator("#wrong-pages")).to_have_count(1)
    assert "wrong-pages" in (form.locator("#pages").get_attribute("aria-describedby") or "")
    form.fill("#pages", "1")
    form.click("#send")
    expect(form.locator("[data-job]")).to_have_count(2)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("notes.txt", b"hello", "HEIF can be read."),
        ("empty.pdf", b"", "is empty"),
        ("cut.pdf", b"no head at all", "does not begin as PDF files do"),
    ],
)
def test_a_refused_file_is_told_in_words_of_people(form: Page, name: str, content: bytes, words: str) -> None:
    form.set_input_files("#file", FilePayload(name=name, mimeType="application/pdf", buffer=content))
    form.click("#send")
    expect(form.locator(".what")).to_contain_text(words)
    assert form.locator(".what").inner_text().count(name) <= 1
    for of_api in ("`", "errors", "formats`", "option", "Retry-After"):
        expect(form.locator(".what")).not_to_contain_text(of_api)


def test_presets_work_without_javascript(browser: Browser, asked: tuple[WebService, str]) -> None:
    context = browser.new_context(base_url=asked[1], java_script_enabled=False)
    page = context.new_page()
    page.goto("/")
    page.get_by_text("Ask a question").click()
    page.click("text=Options")
    page.fill("#question", "How much?")
    page.set_input_files("#file", pdf("plain.pdf"))
    page.click("#send")
    expect(page.locator("h1")).to_have_text("plain.pdf")
    assert asked[0].job(page.url.split("/jobs/")[1][:16]).options.task == "ask"
    context.close()
