"""The training of the tiny reader, and what the committed checkpoint reads."""

import random
import re
from pathlib import Path

import numpy as np
import pymupdf
import pytest
import torch
from PIL import Image

from training.batches import Batches, Stage
from training.checkpoints import save_reader
from training.evaluate import Reader, edit_distance, error_rate
from training.fonts import HELD_OUT_FAMILIES, TRAIN_FAMILIES, find_faces
from training.model import ReaderConfig, Trainee, build_model
from training.pages import draw_page
from training.presets import PRESETS, toy
from training.samples import PROSE, TITLE
from training.train import make_optimisers, train_step
from training.vocabulary import build_tokenizer
from training.words import TextSource, is_held_out

DATA = Path(__file__).parent / "data"
CHECKPOINT = DATA / "tiny-reader"
WORDS = (Path(pymupdf.__file__).parent / "__init__.py").read_text(encoding="utf-8")
CONFIG = PRESETS["smoke"].config


@pytest.fixture(scope="module")
def words() -> list[str]:
    return sorted(set(re.findall(r"\b[a-z]{4,12}\b", WORDS)))


@pytest.fixture(scope="module")
def fonts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fonts")
    for name, code in zip([*TRAIN_FAMILIES, *HELD_OUT_FAMILIES], ["helv", "tiro", "cour"] * 4, strict=False):
        (folder / f"{name}-Regular.ttf").write_bytes(pymupdf.Font(code).buffer)
    return folder


@pytest.fixture(scope="module")
def batches(words: list[str], fonts: Path) -> Batches:
    stages = (Stage(steps=20, height=64, pages=4, max_lines=2),)
    return Batches(CONFIG, stages, TextSource(words), find_faces(fonts, TRAIN_FAMILIES), seed=5)


def test_pages_follow_from_the_seed(words: list[str], fonts: Path) -> None:
    source, faces = TextSource(words), find_faces(fonts, TRAIN_FAMILIES)
    first, again, other = (
        draw_page(random.Random(seed), source, faces, height=128, width=192, max_lines=4) for seed in (3, 3, 4)
    )
    assert first.text == again.text and np.array_equal(first.pixels, again.pixels)
    assert first.text != other.text


def test_a_batch_follows_from_its_step(batches: Batches) -> None:
    first, again = batches[7], batches[7]
    assert torch.equal(first.pixels, again.pixels) and torch.equal(first.tokens, again.tokens)
    assert first.first_rows == again.first_rows and first.offset == again.offset


def test_held_out_typefaces_are_not_trained_on(fonts: Path) -> None:
    assert not set(find_faces(fonts, TRAIN_FAMILIES)) & set(find_faces(fonts, HELD_OUT_FAMILIES))


def test_held_out_words_are_not_trained_on(words: list[str], fonts: Path) -> None:
    held_out = {word for word in words if is_held_out(word)}
    assert held_out and not held_out & set(TextSource(words).words)
    assert set(TextSource(words, held_out=True).words) == held_out
    source, faces = TextSource(words), find_faces(fonts, TRAIN_FAMILIES)
    for seed in range(20):
        page = draw_page(random.Random(seed), source, faces, height=512, width=384, max_lines=20)
        assert not held_out & {word.strip(".,;:!?()\"'[]{}<>").lower() for word in page.text.split()}


def test_a_missing_typeface_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="Caladea"):
        find_faces(tmp_path, HELD_OUT_FAMILIES)


def test_tokens_decode_to_the_text_of_the_page(words: list[str], fonts: Path) -> None:
    config = ReaderConfig()
    faces = find_faces(fonts, TRAIN_FAMILIES)
    page = draw_page(random.Random(1), TextSource(words), faces, height=512, width=384, max_lines=12)
    tokenizer = build_tokenizer(config.vocabulary)
    ids, places = config.vocabulary.encode(page.lines, config.patch)
    assert tokenizer.decode(ids, skip_special_tokens=True) == page.text
    assert tokenizer.decode(tokenizer(page.text).input_ids) == page.text
    assert len(ids) == len(places) and max(places) < config.vocabulary.rows * config.vocabulary.columns


def test_the_training_forward_equals_the_stock_model(batches: Batches) -> None:
    torch.manual_seed(0)
    model = Trainee(CONFIG).eval()
    page = batches[0]
    pixels = ((page.pixels / 255 - 0.9) / 0.3)[:, None].expand(-1, 3, -1, -1)
    with torch.inference_mode():
        expected = model.reader.encoder(pixel_values=pixels).last_hidden_state
        assert torch.allclose(model.encode(page), expected, atol=1e-5)


def test_a_smoke_run_lowers_the_loss(batches: Batches) -> None:
    torch.manual_seed(0)
    model = Trainee(CONFIG)
    optimisers = make_optimisers(model)
    losses = [train_step(model, optimisers, batches[step], 3e-3)["text"] for step in range(20)]
    assert sum(losses[-3:]) < 0.8 * sum(losses[:3])


def test_the_page_preset_trains_at_toy_size(words: list[str], fonts: Path) -> None:
    preset = toy(PRESETS["a4"])
    source, faces = TextSource(words), find_faces(fonts, TRAIN_FAMILIES)
    model = Trainee(preset.config)
    optimisers = make_optimisers(model)
    first = 0
    for stage in preset.stages:
        batch = Batches(preset.config, preset.stages, source, faces, seed=0)[first]
        assert all(np.isfinite(loss) for loss in train_step(model, optimisers, batch, 1e-3).values())
        first += stage.steps


def test_a_saved_reader_loads_with_the_auto_classes(tmp_path: Path) -> None:
    torch.manual_seed(0)
    save_reader(Trainee(CONFIG), tmp_path)
    reader = Reader(tmp_path)
    assert type(reader.model) is type(build_model(CONFIG))
    assert reader.processor.size == {"height": CONFIG.page[0], "width": CONFIG.page[1]}
    inputs = reader.processor(images=Image.new("RGB", (300, 200), "white"), return_tensors="pt")
    assert inputs["pixel_values"].shape == (1, 3, *CONFIG.page)


@pytest.mark.parametrize(
    ("read", "true", "edits"), [("", "abc", 3), ("abc", "abc", 0), ("kitten", "sitting", 3), ("ab", "ba", 2)]
)
def test_edit_distance(read: str, true: str, edits: int) -> None:
    assert edit_distance(read, true) == edits


@pytest.mark.skipif(not CHECKPOINT.is_dir(), reason="the checkpoint has not been trained")
def test_the_checkpoint_reads_pages_it_never_saw() -> None:
    files = sorted((DATA / "tiny-reader-pages").glob("*.png"))
    true = [path.with_suffix(".txt").read_text(encoding="utf-8").rstrip("\n") for path in files]
    assert len(files) == 6 and all(len(text.splitlines()) >= 10 for text in true)
    read = Reader(CHECKPOINT).read([Image.open(path) for path in files])
    assert error_rate(read, true) <= stated_error() + 0.01


@pytest.mark.skipif(not CHECKPOINT.is_dir(), reason="the checkpoint has not been trained")
@pytest.mark.parametrize("dpi", [96, 150])
def test_the_checkpoint_reads_the_demo_page(dpi: int) -> None:
    with pymupdf.open(DATA / "small-page.pdf") as document:
        drawn = document[0].get_pixmap(dpi=dpi)
    image = Image.frombytes("RGB", (drawn.width, drawn.height), drawn.samples)
    true = "\n".join([TITLE, *filter(None, PROSE.splitlines())])
    assert error_rate(Reader(CHECKPOINT).read([image]), [true]) <= 0.02


@pytest.mark.skipif(not CHECKPOINT.is_dir(), reason="the checkpoint has not been trained")
def test_the_checkpoint_is_small() -> None:
    assert sum(path.stat().st_size for path in CHECKPOINT.iterdir()) <= 16 * 2**20


def stated_error() -> float:
    """Return the character error rate that training/README.md states for the six pages of tests/data."""
    readme = (DATA.parents[1] / "training" / "README.md").read_text(encoding="utf-8")
    found = re.search(r"six pages in `tests/data/tiny-reader-pages`: CER \*\*([\d.]+) %\*\*", readme)
    assert found
    return float(found[1]) / 100
