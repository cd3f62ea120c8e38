"""The vlm engine on the reader that training/ made: real text from pages it never saw."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from workers.engines import Control, PageRequest, Prepared
from workers.engines.registry import load_engine
from workers.engines.vlm.engine import VlmEngine
from workers.engines.vlm.options import VlmOptions

DATA = Path(__file__).parent / "data"
READER = DATA / "tiny-reader"
PAGES = sorted((DATA / "tiny-reader-pages").glob("*.png"))[:3]

pytestmark = pytest.mark.skipif(not READER.is_dir() or not PAGES, reason="the reader has not been trained")


@pytest.fixture(scope="module")
def engine() -> VlmEngine:
    torch.set_num_threads(1)
    engine = load_engine("vlm", VlmOptions(model=str(READER), device="cpu"))
    assert isinstance(engine, VlmEngine)
    engine.load()
    return engine


def prepare_pages(engine: VlmEngine, max_new_tokens: int) -> list[Prepared]:
    request = PageRequest(page_number=1, max_new_tokens=max_new_tokens)
    return [engine.prepare(Image.open(path), request) for path in PAGES]


def test_reader_reads_the_words_of_the_pages(engine: VlmEngine) -> None:
    seen: dict[int, str] = {}
    answers = engine.generate(prepare_pages(engine, 4096), Control(on_text=seen.__setitem__))
    for row, (answer, path) in enumerate(zip(answers, PAGES, strict=True)):
        true = path.with_suffix(".txt").read_text(encoding="utf-8").split()
        read = answer.text.split()
        assert answer.stop_reason == "stop"
        assert sum(word in read for word in true) / len(true) > 0.7, f"{path.name}: {answer.text}"
        assert answer.text.startswith(seen[row].strip()), "partial text is the beginning of the text"


def test_batch_reads_what_single_pages_read(engine: VlmEngine) -> None:
    pages = prepare_pages(engine, 80)
    assert engine.generate(pages, Control()) == [engine.generate([page], Control())[0] for page in pages]
