"""The reader in Debian's Firefox, where there is one: rendering, marks both ways, find, keys, corrections."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from documents import save_readable
from firefox import Firefox, start_firefox
from services import wait_until
from web_service import WebService

pytestmark = pytest.mark.browser

PROGRAM = shutil.which("firefox-esr")


@pytest.fixture
def firefox(tmp_path: Path) -> Iterator[Firefox]:
    if not PROGRAM:
        pytest.skip("there is no firefox-esr on the PATH")
    (tmp_path / "profile").mkdir()
    with start_firefox(PROGRAM, tmp_path / "profile") as browser:
        yield browser


def test_reader_works_in_firefox(firefox: Firefox, web: WebService, url: str) -> None:
    job_id = web.open(30, name="ships.pdf")
    save_readable(job_id)
    for number in range(2, 31):
        web.read(job_id, number, "an oil lamp" if number == 20 else "nothing", width=200, height=300)
    web.finish(job_id)
    firefox.open(f"{url}/jobs/{job_id}")

    def is_so(script: str) -> None:
        wait_until(lambda: firefox.value(script), 20, script)

    is_so("document.querySelector('#page-1 .words h3')?.textContent === 'Ships of the north'")
    is_so("document.querySelector('#page-1 .frame img').complete")
    firefox.point_at("#page-1 .words [data-line='1']")
    is_so("document.querySelector('#page-1 .frame rect.lit[data-line=\"1\"]') !== null")
    firefox.point_at("#page-1 .frame rect[data-line='2']")
    is_so("document.querySelector('#page-1 .words .lit[data-line=\"2\"]') !== null")
    firefox.press("j")
    is_so("document.querySelector('[aria-current=true]').textContent === '2'")
    firefox.press("/", *"oil lamp", "\ue007")
    is_so("document.getElementById('found').textContent === '1 of 1 on 1 page'")
    is_so("document.querySelector('#page-20 .words')?.textContent.includes('oil lamp')")
    assert firefox.value("document.querySelectorAll('.sheet:not(.far)').length") < 30
    firefox.value("document.activeElement.blur()")
    firefox.press("e")
    is_so("document.activeElement.matches('#page-20 textarea')")
    firefox.value("document.activeElement.value = 'a gas lamp'")
    firefox.value("document.querySelector('#page-20 .editor .primary').click()")
    is_so("document.querySelector('#page-20 .words')?.textContent.includes('a gas lamp')")
    firefox.value("document.querySelector('#page-20 .undo').click()")
    is_so("document.querySelector('#page-20 .words')?.textContent.includes('oil lamp')")
