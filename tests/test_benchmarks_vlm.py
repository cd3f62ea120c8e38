"""The benchmarks of the vlm engine run at toy size, and the page of known checkpoints is up to date."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
import transformers
from tiny_engines import FAMILIES, checkpoint

from benchmarks import checkpoints, device, engine, gpu, random_models
from workers.engines import EngineError
from workers.engines.vlm.compat import MODEL_CLASSES
from workers.engines.vlm.engine import VlmEngine
from workers.engines.vlm.options import VlmOptions


def test_page_and_note_of_checkpoints_are_up_to_date() -> None:
    """With any of the versions of transformers that the engine works with."""
    assert checkpoints.PAGE.read_text().splitlines() == "\n".join(checkpoints.write_table()).splitlines()
    assert "\n".join(checkpoints.write_note()) in checkpoints.README.read_text()


def test_page_names_the_versions_that_are_allowed() -> None:
    project = tomllib.loads((checkpoints.ROOT / "server" / "pyproject.toml").read_text())["project"]
    (bounds,) = (need for need in project["optional-dependencies"]["vlm"] if need.startswith("transformers"))
    first, last = checkpoints.VERSIONS.split(" and ")
    major, _, minor = last.partition(".")
    assert bounds == f"transformers>={first},<{major}.{int(minor) + 1}"
    assert ".".join(transformers.__version__.split(".")[:2]) in (first, last)


def test_types_of_the_newest_version_alone_are_judged_as_it_judges_them() -> None:
    listed = set(checkpoints.ADDED) & set(MODEL_CLASSES)
    assert listed == (set(checkpoints.ADDED) if transformers.__version__.startswith(checkpoints.ADDED_IN) else set())
    assert all(checkpoints.judge(name).reason == checkpoints.ADDED[name] for name in listed)


def test_every_family_that_is_called_tested_is_tested() -> None:
    configs = [json.loads((checkpoint(name) / "config.json").read_text()) for name in FAMILIES]
    assert {config["model_type"] for config in configs} == checkpoints.TESTED


def test_what_the_engine_refuses_is_refused_on_the_page(tmp_path: Path) -> None:
    refused = [
        line.split("`")[1]
        for line in checkpoints.PAGE.read_text().partition("## Refused")[2].splitlines()
        if "`" in line
    ]
    by_rule = [name for name in refused if not checkpoints.judge(name).reason.endswith("torchvision only")]
    assert {"blip", "udop", "pi0"} <= set(by_rule)
    for name in by_rule:
        (tmp_path / "config.json").write_text(json.dumps({"model_type": name}))
        with pytest.raises(EngineError):
            VlmEngine(VlmOptions(model=str(tmp_path)))


def test_gpu_benchmark_runs_at_toy_size(capsys: pytest.CaptureFixture[str]) -> None:
    gpu.main(
        ["--sizes", "toy-qwen2.5-vl", "--device", "cpu", "--pages", "2", "--batch", "2", "--tokens", "4", "--no-file"]
    )
    printed = capsys.readouterr().out
    assert "toy-qwen2.5-vl" in printed
    assert all(name in printed for name in ("page by page", "generate(), batch of 2", "this engine, batch of 2"))
    assert printed.count("2 at once that join") == 2, "equal and lognormal lengths"


def test_engine_benchmark_runs_at_toy_size(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "TOYS", ("toy-qwen2.5-vl",))
    monkeypatch.setattr(engine, "BATCHES", (2,))
    engine.main(["--pages", "2", "--tokens", "4", "--words", "200", "--repeats", "1", "--no-file"])
    printed = capsys.readouterr().out
    assert "the loop costs" in printed
    assert "longest stall" in printed


def test_bound_grows_with_the_answer() -> None:
    made = random_models.RandomEngine(random_models.SIZES["toy-qwen2.5-vl"], device="cpu", dtype="float32")
    made.load()
    page = made.prepare_page(0, 8)
    short, long = (device.bound_seconds(made, page, tokens, 8, 1.0, 100.0) for tokens in (8, 80))
    assert 0 < short < long
