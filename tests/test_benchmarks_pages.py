"""Pages that benchmarks draw have the text that is said of them; steps are timed; what breaks is told."""

from __future__ import annotations

import io
import time
from importlib import import_module
from typing import Any

import pymupdf
import pytest
from PIL import Image

from benchmarks.drawn_pages import KINDS, as_picture, suffix_of
from benchmarks.figures import Figure, Measured
from benchmarks.peer_programs import PEERS, is_installed
from benchmarks.pictures import as_pdf, drawn_pictures, flat
from benchmarks.stopwatch import Stopwatch
from benchmarks.truth_scores import word_f1

# by name, for they know the tests' helpers by another name, and mypy would see those twice
bench: Any = import_module("benchmarks.bench")
peers: Any = import_module("benchmarks.peers")
profile: Any = import_module("benchmarks.profile")


@pytest.mark.parametrize("kind", KINDS)
def test_drawn_pages_say_their_text(kind: str) -> None:
    data, text = KINDS[kind](3)
    assert KINDS[kind](3)[1] == text != KINDS[kind](4)[1]
    if suffix_of(data) == ".pdf":
        with pymupdf.open(stream=data) as document:
            assert word_f1(text, document[0].get_text()) == 1.0
    assert Image.open(io.BytesIO(as_picture(data))).width > 400


def test_pdf_of_pictures_has_their_sizes_and_no_text() -> None:
    pictures = drawn_pictures(1)
    with pymupdf.open(stream=as_pdf(pictures)) as document:
        assert len(document) == len(pictures)
        assert not any(page.get_text().strip() for page in document)
        assert abs(document[0].rect.width - 595) < 1


def test_transparent_pictures_lie_on_white() -> None:
    out = io.BytesIO()
    Image.new("RGBA", (20, 10), (0, 0, 0, 0)).save(out, "PNG")
    picture = flat("clear.png", out.getvalue(), "")
    assert Image.open(io.BytesIO(picture.png)).getpixel((5, 5)) == (255, 255, 255)
    assert picture.dpi == 200


def test_copies_differ() -> None:
    with pymupdf.open(stream=profile.copies_of(KINDS["scan"](0)[0], 3)) as document:
        shown = {bytes(page.get_pixmap(dpi=72).samples) for page in document}
    assert len(shown) == 3


def test_a_step_within_another_is_taken_off_it() -> None:
    watch = Stopwatch()

    def work(cpu_s: float) -> None:
        until = time.process_time() + cpu_s
        while time.process_time() < until:
            pass

    with watch.step("outer"):
        work(0.02)
        watch.wrapped("inner", work)(0.05)
    assert watch.seconds["inner"] >= 0.05
    assert 0.02 <= watch.seconds["outer"] < watch.seconds["inner"] + 0.02


def test_steps_of_the_profile_are_there() -> None:
    """What the profile watches is called by these names."""
    watch = Stopwatch()
    import_module("workers.engines.ocr.models")
    with watch.watching(profile.STEPS):
        pass


def test_a_benchmark_that_breaks_is_told_and_ends_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def works(is_short: bool) -> Measured:
        found = Figure(what="speed", measured=f"short {is_short}", target="≥ 2", is_met=False)
        return Measured(title="", figures=[found], lines=[], charts={})

    def breaks(_: bool) -> Measured:
        raise RuntimeError("no")

    monkeypatch.setattr(bench, "BENCHMARKS", {"works": works, "breaks": breaks})
    with pytest.raises(SystemExit) as end:
        bench.main([])
    assert end.value.code == 1
    text = capsys.readouterr().out
    assert "short True (missed)" in text
    assert "broke: RuntimeError" in text
    with pytest.raises(SystemExit) as end:
        bench.main(["works"])
    assert end.value.code == 0


def test_figures_name_what_is_missing() -> None:
    ours, theirs = (
        peers.Result(pages_s=2.0, cpu_s=1.0, f1=0.98, cer=0.01),
        peers.Result(pages_s=1.0, cpu_s=2.0, f1=0.9, cer=0.1),
    )
    speed, _, errors = peers.figures_of({peers.OURS: ours, "OCRmyPDF": theirs})
    assert (speed.is_met, errors.is_met) == (True, True)
    assert errors.measured == "0.20 × (2.00%)"
    speed, _, errors = peers.figures_of({peers.OURS: ours})
    assert (speed.is_met, errors.is_met) == (None, None)
    assert "not installed" in speed.peer


def test_a_program_that_is_not_there_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert {peer for peer in PEERS if is_installed(peer)} <= {"RapidOCR, bare"}
