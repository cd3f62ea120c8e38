"""Engines that hold tiny checkpoints, made once a test run, and pages for them."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

import pytest
import tiny_gemmas
import tiny_patches
import tiny_readers
import tiny_tiles
import torch
from tiny_models import build, draw_page
from transformers.utils import logging as hf_logging

from workers.engines import Control, Generation, PageRequest, Prepared
from workers.engines.vlm.engine import VlmEngine
from workers.engines.vlm.options import VlmOptions

FAMILIES = tiny_patches.FAMILIES | tiny_tiles.FAMILIES | tiny_gemmas.FAMILIES | tiny_readers.FAMILIES
QUICKEST = "llava"  # where the family does not matter
SIZES = [(224, 160), (160, 224), (96, 250)]  # three page shapes, so that batches are ragged


@cache
def checkpoint(name: str) -> Path:
    """The folder of a family's tiny checkpoint, in a temporary place that goes when the tests end."""
    return build(FAMILIES[name], _root() / name)


@cache
def _root() -> Path:
    torch.set_num_threads(1)  # the models are so small that more threads only wait for each other
    hf_logging.disable_progress_bar()
    hf_logging.set_verbosity_error()
    root = Path(tempfile.mkdtemp(prefix="pagefan-tiny-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    return root


@cache
def loaded(name: str, **options: Any) -> VlmEngine:
    """A loaded engine of a family; the same one for the same arguments."""
    engine = VlmEngine(VlmOptions(model=str(checkpoint(name)), device="cpu", **options))
    engine.load()
    return engine


def model_of(engine: VlmEngine) -> Any:
    return engine._require_model().model


def prepare_pages(engine: VlmEngine, **request: Any) -> list[Prepared]:
    asked = PageRequest(page_number=1, **{"max_new_tokens": 20} | request)
    return [engine.prepare(draw_page(*size, seed), asked) for seed, size in enumerate(SIZES)]


def asked_for(page: Prepared, **request: Any) -> Prepared:
    """The same page with another request."""
    return replace(page, request=replace(page.request, **request))


def limited(pages: list[Prepared], *lengths: int) -> list[Prepared]:
    """The same pages, each with an answer of another length."""
    return [asked_for(page, max_new_tokens=length) for page, length in zip(pages, lengths, strict=True)]


def forget_end_tokens(engine: VlmEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every answer run to its limit."""
    monkeypatch.setattr(engine._watch, "eos_ids", frozenset())


def one_by_one(engine: VlmEngine, pages: list[Prepared]) -> list[Generation]:
    return [engine.generate([page], Control())[0] for page in pages]


class StopRow(Control):
    """Stops row 1 and leaves the others alone."""

    def __init__(self, reason: Literal["cancelled", "timeout"]) -> None:
        super().__init__()
        self._reason: Literal["cancelled", "timeout"] = reason

    def should_stop(self, row: int) -> Literal["cancelled", "timeout"] | None:
        return self._reason if row == 1 else None
