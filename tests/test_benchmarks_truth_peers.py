"""The peers of benchmarks.truth get scans that they can read, and a failure of theirs is no empty text."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from PIL import Image

from benchmarks.truth_peers import PeerError, as_letter, run


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGBA"])
def test_a_scan_comes_as_a_letter_page_without_alpha(tmp_path: Path, mode: str) -> None:
    Image.new(mode, (850, 1100)).save(tmp_path / "scan.tiff", dpi=(1, 1))
    with Image.open(as_letter(tmp_path / "scan.tiff", tmp_path)) as page:
        assert page.mode == "RGB"
        assert page.info["dpi"] == pytest.approx((100, 100), abs=0.1)


def test_transparent_ground_is_paper(tmp_path: Path) -> None:
    Image.new("RGBA", (85, 110)).save(tmp_path / "scan.png")
    with Image.open(as_letter(tmp_path / "scan.png", tmp_path)) as page:
        assert page.getpixel((0, 0)) == (255, 255, 255)


def test_a_peer_that_fails_is_said_to_have_failed(tmp_path: Path) -> None:
    with pytest.raises(PeerError, match="no such page"):
        run([sys.executable, "-c", "import sys; sys.exit('no such page')"], tmp_path / "out.md")
