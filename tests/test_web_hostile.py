"""Whatever stands on a page, in a name or in an error is only text: in a real Chromium no view lets it do anything."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Dialog, FilePayload, Page, expect
from services import wait_until
from web_service import WebService, page, served

from tasks.page_end import save_text

pytestmark = pytest.mark.browser

NAME = "<img src=x onerror=alert(1)>\"'><script>alert(2)</script>.pdf"
EVIL = """<script>window.hit = 1; alert(1)</script>
<img src=x onerror="window.hit = 2"> <svg onload="window.hit = 3"><script>window.hit = 4</script></svg>
<svg><a xlink:href="javascript:window.hit=5"><text y="20">svg</text></a><animate onbegin="window.hit = 6" /></svg>
</textarea></title></style></script><script>window.hit = 7</script> --> ]]> </div></section></main>
<iframe srcdoc="<script>parent.hit = 8</script>"></iframe> <object data="data:text/html,x"></object> <embed src="/">
<details open ontoggle="window.hit = 9">x</details>
<body onload="window.hit = 10"> <math href="javascript:alert(1)">m</math>
<form action="javascript:window.hit=11"><button formaction="/logout">b</button>
<input autofocus onfocus="window.hit = 12">
<base href="//evil.example/"> <meta http-equiv="refresh" content="0;url=javascript:window.hit=13">
<link rel="stylesheet" href="//evil.example/a.css">
<style>@import "//evil.example/b.css"; body { display: none }</style>
<a href="javascript:window.hit=14" onclick="window.hit = 15" id="job" name="location" style="position: fixed">a</a>
<p class="notice bad" data-self="/logout" style="display: none">classes</p>

[one](javascript:window.hit=16) [two](JaVaScRiPt:window.hit=17) [three](&#106;avascript:window.hit=18)
[four](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==) [five](vbscript:x) [six](<java\tscript:alert(1)>)
[seven][ref] ![eight](javascript:alert(1)) ![nine](//evil.example/i.png) [ten](//evil.example/) <javascript:alert(1)>
<data:text/html,%3Cscript%3Ealert(1)%3C/script%3E> http://evil.example/<script>alert(1)</script>
[eleven](https://fine.example/ "x\\" onmouseover=alert(1) y=\\"") `</code><script>alert(1)</script>`

[ref]: javascript:window.hit=19

| <img src=x onerror=alert(1)> | `a` |
| --- | --- |
| <td onclick=alert(1)>x</td> | b |

{{ 7 * 7 }} {% raw %} ${7 * 7} \u2028\u202e

event: end
data: {"state": "made up"}

"""

WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => window.violations.push(event.violatedDirective));
"""
INSPECT = """() => {
  const bad = [];
  for (const node of document.querySelectorAll("*")) {
    const name = node.localName;
    if (/^(iframe|object|embed|base|math|animate|style)$/.test(name)) bad.push(name);
    if (name === "script" && !node.src.startsWith(location.origin + "/static/")) bad.push(name);
    const isOurs = /^\\/(api\\/v1\\/)?jobs\\//.test(node.src?.replace?.(location.origin, ""));
    if (name === "img" && node.src && !isOurs) bad.push(name);
    const sendsTo = name === "form" ? node.getAttribute("action") ?? "" : "";  // `node.action` may be a button
    if (new URL(sendsTo, location.href).origin !== location.origin) bad.push("form " + sendsTo);
    for (const { name, value } of node.attributes) {
      if (/^on|^formaction$|^srcdoc$/.test(name)) bad.push(name);
      if (name === "style" && node.closest(".words, .text, .rendered")) bad.push(name);  // elsewhere our scripts set it
      if (/href|src|action/.test(name) && /^\\W*(javascript|data|vbscript):/i.test(value)) bad.push(value);
    }
  }
  const ours = ".line, .block, .table-tools, .table-tools *";
  const own = /^(table|plain|muted|caption|footnote|marked|formula)$/;
  for (const node of document.querySelectorAll(`.text :not(${ours}), .rendered :not(${ours})`)) {
    for (const { name, value } of node.attributes) {
      const isOwn = (name === "class" && own.test(value)) || (name === "id" && /^p\\d+-b\\d+$/.test(value));
      if (/^(id|name|class|data-)/.test(name) && name !== "data-tools" && !isOwn) bad.push(`${name}=${value}`);
    }
  }
  return { bad, hit: window.hit ?? 0, violations: window.violations };
}"""


@pytest.fixture
def view(browser: Browser, web: WebService) -> Iterator[Page]:
    """A browser's page on the service; the test fails when a dialog opens or a page of another site is asked for."""
    with served(web) as url:
        context = browser.new_context(base_url=url)
        view = context.new_page()
        view.add_init_script(WATCH)
        complaints: list[str] = []

        def complain(dialog: Dialog) -> None:
            complaints.append(dialog.message)
            dialog.dismiss()

        view.on("dialog", complain)
        view.on("pageerror", lambda error: complaints.append(str(error)))
        view.on("request", lambda asked: complaints.append(asked.url) if not asked.url.startswith(url) else None)
        yield view
        assert not complaints
        context.close()


def check_inert(view: Page) -> None:
    assert view.evaluate(INSPECT) == {"bad": [], "hit": 0, "violations": []}, view.url


def protocols(view: Page, links: str) -> set[str]:
    """As the browser understands them."""
    return set(view.locator(links).evaluate_all("links => links.map((link) => link.protocol)"))


@pytest.fixture
def ended(web: WebService) -> str:
    """A job in which everything a stranger can choose is hostile."""
    job_id = web.open(5, name=NAME)
    web.read(job_id, 1, EVIL, width=200, height=300, has_image=True)
    save_text(page(job_id, 2), EVIL, engine=EVIL, seconds=0.5)
    attempts = [{"engine": EVIL, "seconds": 0.1, "reason": EVIL}]
    save_text(
        page(job_id, 3), EVIL, state="fallback", reason="x", detail=EVIL, engine="e", seconds=0, attempts=attempts
    )
    web.fail(job_id, 4, "generation_failed", EVIL)
    save_text(page(job_id, 5), EVIL, engine="e", seconds=0.5, text_layer_recall=0.1)
    web.finish(job_id)
    return job_id


def test_no_view_of_an_ended_job_lets_it_act(web: WebService, view: Page, ended: str) -> None:
    failed = web.submit()
    web.ledger.begin_split(failed)
    web.ledger.end_job(failed, "failed", error={"reason": "corrupt", "detail": EVIL})
    views = ["/", "/jobs", f"/jobs/{ended}", *(f"/jobs/{ended}/pages/{number}" for number in range(1, 6))]
    views += [f"/jobs/{failed}", "/docs", f"/jobs/{NAME}", f"/login?next={NAME}", f"/jobs?batch={NAME}&cursor={NAME}"]
    for path in views:
        view.goto(path)
        view.wait_for_load_state("networkidle")
        check_inert(view)
    view.goto(f"/jobs/{ended}")
    expect(view.locator("h1")).to_have_text(NAME)
    expect(view.locator("#page-1 .words")).to_contain_text("<script>window.hit = 1; alert(1)</script>")
    view.goto(f"/jobs/{ended}/pages/2")
    assert protocols(view, "#text a[href]") == {"http:", "https:"}


def test_live_updates_put_text_in_as_text(web: WebService, view: Page) -> None:
    job_id = web.open(4, name=NAME)
    view.goto(f"/jobs/{job_id}")
    wait_until(lambda: web.ledger.redis.exists(f"pf:watched:{job_id}"), 10)
    reading = web.begin(job_id, 1, EVIL)
    expect(view.locator("#live-text")).to_contain_text("window.hit = 7")
    check_inert(view)
    web.read(job_id, 1, EVIL)
    reading.end(page(job_id, 1))
    web.fail(job_id, 2, "generation_failed", EVIL)
    save_text(page(job_id, 3), EVIL, state="fallback", reason="x", detail=EVIL, engine="e", seconds=0)
    expect(view.locator("#faults li")).to_have_count(2)
    expect(view.locator(".sheet:not(.far) .words")).to_have_count(3)
    expect(view.locator("#live")).to_be_hidden()
    expect(view.locator("#badge")).to_have_text("reading")
    check_inert(view)


def test_growing_text_of_a_page_is_only_text(web: WebService, view: Page) -> None:
    job_id = web.open(2, name=NAME)
    reading = web.begin(job_id, 1, "")
    view.goto(f"/jobs/{job_id}/pages/1")
    expect(view.locator("#nothing-yet")).to_be_visible()
    reading.begin([page(job_id, 1)])(0, EVIL)
    reading.flush()
    expect(view.locator("#text")).to_contain_text("window.hit = 7")
    check_inert(view)
    view.reload()
    check_inert(view)
    web.read(job_id, 1, EVIL)
    expect(view.locator("#text .line")).to_have_count(1)
    check_inert(view)


def test_refused_file_shows_its_name_as_text(view: Page) -> None:
    view.goto("/")
    view.set_input_files("#file", [FilePayload(name=NAME, mimeType="application/pdf", buffer=b"hello")])
    view.fill("#url", "https://a.example/?<script>alert(1)</script>")
    view.click("#add-url")
    view.get_by_role("button", name="Remove https").click()
    view.click("#send")
    expect(view.locator(".what")).to_be_visible()
    expect(view.locator(".chosen .name")).to_have_text(NAME)
    check_inert(view)


def test_html_result_is_inert_by_itself(view: Page, ended: str) -> None:
    answer = view.goto(f"/api/v1/jobs/{ended}/result?format=html")
    assert answer
    policy = answer.headers["content-security-policy"]
    assert "sandbox" in policy
    assert "script" not in policy
    found = view.locator("body *").evaluate_all(
        "nodes => nodes.flatMap((node) => [node.localName, ...[...node.attributes].map((a) => a.name)])"
    )
    assert not {"script", "img", "iframe", "svg", "form", "style", "onclick", "onerror", "xlink:href"} & set(found)
    assert protocols(view, "a[href]") == {"http:", "https:"}


@pytest.mark.parametrize(
    ("query", "media"),
    [
        ("result?format=md", "text/markdown; charset=utf-8"),
        ("result?format=txt", "text/plain; charset=utf-8"),
        ("result?format=json", "application/json"),
        ("result?format=html", "text/html; charset=utf-8"),
        ("pages", "application/json"),
        ("pages/1", "application/json"),
        ("events", "text/event-stream; charset=utf-8"),
        ("", "application/json"),
    ],
)
def test_no_answer_is_taken_for_something_else(web: WebService, ended: str, query: str, media: str) -> None:
    answer = web.get(f"/jobs/{ended}/{query}".removesuffix("/"))
    assert answer.content_type == media
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    if query.startswith("result"):
        taken = web.get(f"/jobs/{ended}/{query}&download=1").headers["Content-Disposition"]
        assert taken.startswith("attachment; filename=")
        assert not set('<>()"') & set(taken.partition("filename=")[2])


def test_hostile_text_cannot_make_up_events(web: WebService, ended: str) -> None:
    events = web.get(f"/jobs/{ended}/events").text.split("\n\n")
    ends = [event for event in events if "event: end" in event.split("\n")]
    assert len(ends) == 1
    state: Any = json.loads(ends[0].split("data: ")[1])
    assert state == {"state": "partial"}
