"""The docs site: it builds with no dead link, asks nothing of other sites, and names all that the code offers."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from mkdocs.exceptions import PluginError

import pagefan
from tools import docs_site

ROOT = Path(__file__).parents[1]
ASKED = re.compile(r"<(?:script|link|img|iframe|source)\b[^>]*(?:src|href)=[\"']?(?:https?:)?//")
ASKED_BY_STYLES = re.compile(r"url\([\"']?(?:https?:)?//|@import")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(made)]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return made


def test_site_asks_nothing_of_other_sites(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 15
    for page in pages:
        assert not ASKED.search(page.read_text(encoding="utf-8")), page
    for sheet in site.rglob("*.css"):
        assert not ASKED_BY_STYLES.search(sheet.read_text(encoding="utf-8")), sheet


def test_every_call_and_every_name_is_in_the_reference(site: Path) -> None:
    spec = json.loads((site / "reference" / "openapi.json").read_text(encoding="utf-8"))
    rest = (site / "reference" / "rest.html").read_text(encoding="utf-8")
    calls = [call["operationId"] for methods in spec["paths"].values() for call in methods.values()]
    assert len(calls) > 20
    assert [call for call in calls if f'id="{call}"' not in rest] == []
    python = (site / "reference" / "python.html").read_text(encoding="utf-8")
    assert [name for name in pagefan.__all__ if f'id="{name.lower()}"' not in python] == []
    assert 'id="client.convert"' in python


def test_every_call_of_the_clients_says_what_it_does() -> None:
    calls = {
        f"{owner.__name__}.{name}": call
        for owner in (pagefan.Client, pagefan.AsyncClient)
        for name, call in vars(owner).items()
        if not name.startswith("_") and name not in ("close", "aclose")
    }
    assert [name for name, call in calls.items() if not call.__doc__] == []


def test_link_to_a_file_that_is_not_there_ends_the_build() -> None:
    link = docs_site.LINK.search("see [the code](../workers/no_such_file.py)")
    assert link
    with pytest.raises(PluginError, match=r"docs/layout\.md links to workers/no_such_file\.py"):
        docs_site.followed(link, "layout.md")


def test_what_the_readme_links_to_and_shows_is_there() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    targets = set(re.findall(r"\]\((?!https?:|#)([^)#\s]+)", text))
    assert len(targets) > 10
    assert [target for target in sorted(targets) if not (ROOT / target).exists()] == []
    first = text.partition("\n## ")[0]
    assert "docs/reader.webp" in first and "docs/reader.png" in first, "a job at work, at the top"


def test_every_test_that_the_promises_name_is_there() -> None:
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", (ROOT / "docs" / "promises.md").read_text(encoding="utf-8"))
    assert len(named) > 25
    missing = [one for one in named if f"def {one[1]}(" not in (ROOT / "tests" / one[0]).read_text(encoding="utf-8")]
    assert missing == []
