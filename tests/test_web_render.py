"""Recognised text as HTML: what people wrote shows, what would act does not."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from web_service import WebService, page

from tasks.page_end import save_text
from web.api.render import render_markdown, render_plain

ROOT = Path(__file__).parents[1]
HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)><script>alert(1)</script></svg>",
    "<a href='javascript:alert(1)'>x</a>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt&#58;alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "[x](vbscript:msgbox)",
    "![x](https://tracker.example/pixel.png)",
    "<iframe src=https://evil.example></iframe>",
    "<form action=https://evil.example><input name=key></form>",
    "<style>body { display: none }</style>",
    "<div style='position:fixed'>x</div>",
    "<meta http-equiv=refresh content=0;url=https://evil.example>",
    "<base href=https://evil.example>",
    "<object data=x></object><embed src=x>",
    "<table background=javascript:alert(1)><tr><td onclick=alert(1)>x",
    "</section></body><script>alert(1)</script>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    "```\n<script>alert(1)</script>\n```",
    "<!--<script>-->alert(1)<!--</script>-->",
]
ACTIVE = re.compile(
    r"<(script|img|svg|iframe|form|input|style|meta|base|object|embed|noscript|math)|\son\w+=|\sstyle=|"
    r"(href|src|background)=.?\s*(javascript|data|vbscript)",
    re.IGNORECASE,
)


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_hostile_survives(text: str) -> None:
    assert not ACTIVE.search(re.sub(r"<[^>]*&lt;|&lt;[^<]*", "", render_markdown(text)))
    assert "<script" not in render_plain(text)


def test_markdown_and_its_html_tables_show() -> None:
    shown = render_markdown(
        "# Title\n\n**bold** H<sub>2</sub>O\n\n<table><tr><td colspan=2>x</td></tr></table>\n\n|a|\n|-|\n|b|"
    )
    for expected in ("<h1>Title</h1>", "<strong>bold</strong>", "<sub>2</sub>", 'colspan="2"', "<td>b</td>"):
        assert expected in shown


def test_links_lead_away_without_a_trace() -> None:
    assert 'rel="noopener noreferrer nofollow"' in render_markdown("[x](https://example.org/)")


def test_plain_text_keeps_its_signs_and_lines() -> None:
    shown = render_plain("2 * 3 * 4\n# 12 <b>")
    assert shown == '<div class="plain">2 * 3 * 4\n# 12 &lt;b&gt;</div>'


def test_html_result_has_every_page_in_order_and_an_anchor(web: WebService) -> None:
    job_id = web.open(4, name="a <b> report.pdf")
    web.read(job_id, 2, "from ocr")
    save_text(page(job_id, 1), "# Heading <script>alert(1)</script>", engine="vlm", seconds=1.0)
    web.fail(job_id, 3)
    web.read(job_id, 4, "cut", state="fallback", reason="repetition")
    web.finish(job_id)
    answer = web.get(f"/jobs/{job_id}/result?format=html")
    assert answer.content_type == "text/html; charset=utf-8"
    assert re.findall(r' id="page-(\d+)"', answer.text) == ["1", "2", "3", "4"]
    assert "<title>a &lt;b&gt; report.pdf</title>" in answer.text
    assert re.search(r"<h1[^>]*>Heading", answer.text)
    assert "<script" not in answer.text
    assert "[VLM_ERROR page 3]" in answer.text
    assert "Second best" in answer.text
    policy = answer.headers["Content-Security-Policy"]
    assert "sandbox" in policy
    assert "script-src" not in policy


def test_html_result_outlives_the_ledger_and_can_be_partial(web: WebService) -> None:
    job_id = web.open(2)
    web.read(job_id, 1, "early")
    partial = web.get(f"/jobs/{job_id}/result?format=html&partial=1").text
    assert "early" in partial
    assert 'id="page-2"' in partial
    web.read(job_id, 2)
    web.finish(job_id)
    web.ledger.redis.flushdb()
    assert "early" in web.get(f"/jobs/{job_id}/result?format=html").text


def test_page_view_renders_markdown_and_keeps_the_source(web: WebService) -> None:
    job_id = web.open(1)
    save_text(page(job_id, 1), "# Heading\n\n<img src=x onerror=alert(1)>", engine="vlm", seconds=1.0)
    shown = web.client.get(f"/jobs/{job_id}/pages/1").text
    assert '<h3 id="p1-b0" dir="auto">Heading</h3>' in shown
    assert "<img src=x" not in shown
    assert "&lt;img src=x" in shown


UNITS = [
    "[", "![", "](", "*a", "*_", "_", "`", "<", "|", "> ", "- ", "[a](", "~~", "\\", "&amp;", "<a>", "a\n", "[]: ",
    "1. ", "<!--", "<?", "\n>", "[a]: b\n", "    a\n\n", "<div>", "<b><i>", "**a *b ", "- \n  - ", "|a", "\0", "`a``b",
]  # fmt: skip
WIDE_TABLE = "|a" * 1500 + "|\n" + "|-" * 1500 + "|\n" + "|\n" * 20_000
RENDER_ALL = """
import json, resource, sys
from web.api.render import render_markdown
for text in json.load(sys.stdin):
    spent = int(sum(resource.getrusage(resource.RUSAGE_SELF)[:2]))
    resource.setrlimit(resource.RLIMIT_CPU, (spent + 4, -1))
    sys.stderr.write(f"\\n{text[:40]!r}")
    assert len(render_markdown(text)) < 3_000_000
"""


@pytest.mark.parametrize("length", [300_000, 55_000, 5_000])
def test_any_text_is_shown_within_bounds(length: int) -> None:
    """In a process that the system ends once one text has taken some seconds of CPU."""
    texts = json.dumps([(unit * (length // len(unit) + 1))[:length] for unit in (*UNITS, WIDE_TABLE)])
    run = subprocess.run([sys.executable, "-c", RENDER_ALL], input=texts, text=True, capture_output=True, cwd=ROOT)
    assert run.returncode == 0, f"it took too long: {run.stderr[-200:]}"


def test_a_text_that_is_too_much_is_whole_and_says_so() -> None:
    shown = render_markdown("<script>[" * 20_000)
    assert "shown as it is" in shown
    assert shown.count("&lt;script&gt;[") == 20_000
    assert "shown as it is" not in render_markdown("# A page\n\n" + "word [link](https://a.example) " * 500)
