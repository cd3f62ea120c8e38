"""Figures of benchmarks are kept and shown as they were found, and charts are SVG that any viewer takes."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import psutil
import pytest

from benchmarks import figures, performance, report
from benchmarks.charts import LABEL, WIDTH, bars, ticks
from benchmarks.figures import Figure, Measured, figure_table, keep, kept
from benchmarks.usage import cpu_seconds, rss_mib

SVG = "{http://www.w3.org/2000/svg}"
ROWS = [("scan & co", {"detect": 120.0, "recognise": 300.0}), ("receipt <1>", {"recognise": 42.0, "a < b": 1.0})]


def test_bars_are_as_long_as_their_values_and_stay_inside() -> None:
    root = ElementTree.fromstring(bars("Where the time goes", ROWS, unit="ms", mark=("target", 500.0)))
    titles = {title.text: box for box in root.iter(f"{SVG}rect") for title in box.iter(f"{SVG}title")}
    assert titles["detect: 120"].get("x") == f"{LABEL:.1f}"
    widths = [float(titles[name].get("width", "")) for name in ("detect: 120", "recognise: 300")]
    assert widths[1] == pytest.approx(2.5 * widths[0], abs=0.2)
    assert all(float(box.get("x", "0")) + float(box.get("width", "")) <= WIDTH for box in root.iter(f"{SVG}rect"))
    assert "target" in [each.text for each in root.iter(f"{SVG}text")]


@pytest.mark.parametrize("most", [0.004, 0.7, 1.0, 9.99, 42.0, 1234.0])
def test_ticks_are_few_and_reach_the_end(most: float) -> None:
    found = ticks(most)
    assert found[0] == 0.0
    assert 3 <= len(found) <= 7
    assert most * 0.6 <= found[-1] <= most * 1.01


def test_a_missed_target_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    monkeypatch.setattr(figures, "RESULTS", tmp_path)
    found = Figure(what="join", target="≤ 1 s", measured="1.40 s", is_met=False, limit="0", peer="")
    keep("join", Measured(title="The join", figures=[found], lines=["a line"], charts={"join": "<svg/>"}))
    assert kept("join")["figures"] == [found]
    assert "1.40 s (missed)" in (tmp_path / "join.md").read_text()
    assert (tmp_path / "join.svg").read_text() == "<svg/>"
    assert figure_table([found])[2].count("|") == 6


def test_usage_of_a_process_is_counted_with_its_children() -> None:
    own = psutil.Process()
    assert cpu_seconds(own.pid) >= sum(own.cpu_times()[:2]) - 0.5
    assert rss_mib(own.pid) > 10
    assert cpu_seconds(2**22 + 1) == 0.0


def test_table_of_the_readme_is_what_benchmarks_kept() -> None:
    text = performance.README.read_text()
    assert performance.with_table(text) == text
