"""From a model's answer to a page of a document: understood, turned where the model asks for it, laid out."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

import pytest
from PIL import Image, ImageDraw
from recorded_answers import DOCTAGS, OLMOCR
from web_service import WebService, page

from tasks.archive import read_content
from tasks.blobs import job_key, page_key
from tasks.cache import generation_of, keep, look_up
from tasks.page_end import save_generation
from tasks.services import get_blobs
from workers.engines import Control, Generation, ImageSpec, PageRequest, Prepared
from workers.engines.profiles import Profile, named
from workers.reading.second_look import read_all

Ask = Callable[[Prepared], str]
ANSWERS = "---\nis_rotation_valid: False\nrotation_correction: {}\n---\n"


class ScriptedModel:
    """Answers each page by a function, as a model of the given profile would; remembers what it was shown."""

    name, revision, max_batch = "vlm", "1", 4

    def __init__(self, profile: Profile, answer: Ask) -> None:
        self.profile, self.answer = profile, answer
        self.image_spec = ImageSpec(factor=1, max_side=2000, min_letter=5.0)
        self.seen: list[Prepared] = []

    def prepare(self, image: Image.Image, request: PageRequest) -> Prepared:
        return Prepared(request=request, image=image)

    def pack(self, prepared: Prepared) -> bytes | None:
        raise NotImplementedError(prepared)

    def unpack(self, data: bytes, request: PageRequest) -> Prepared:
        raise NotImplementedError(data, request)

    def load(self) -> None: ...

    def close(self) -> None: ...

    def generate(self, batch: Sequence[Prepared], control: Control) -> list[Generation]:
        done = []
        for row, asked in enumerate(batch):
            self.seen.append(asked)
            text = self.answer(asked)
            if control.on_text:
                control.on_text(row, text[: len(text) // 2])
            done.append(control.done(row, Generation(text=text, tokens=len(text))))
        return done


def sheet(width: int = 400, height: int = 560) -> Image.Image:
    """A page with a black corner at its top left, by which its turn shows."""
    image = Image.new("RGB", (width, height), "white")
    ImageDraw.Draw(image).rectangle((0, 0, 60, 60), fill="black")
    return image


def corner(image: Image.Image) -> str:
    """Where the black corner is: by rows and columns."""
    dark = image.convert("L").point(lambda value: 255 * (value < 128))
    box = dark.getbbox() or (0, 0, 0, 0)
    return ("bottom" if box[1] > image.height / 2 else "top") + (" right" if box[0] > image.width / 2 else " left")


def look(
    model: ScriptedModel, image: Image.Image, control: Control | None = None, task: str = "transcribe"
) -> Generation:
    prepared = model.prepare(image, PageRequest(page_number=1, task=task))
    (generation,) = read_all(model, [prepared], control or Control(), lambda _: image)
    return generation


def test_an_answer_becomes_markdown_and_blocks_with_boxes() -> None:
    partial: list[str] = []
    control = Control(on_text=lambda _, text: partial.append(text))
    read = look(ScriptedModel(named("granite-docling"), lambda _: DOCTAGS), sheet(), control)
    assert "loc_" not in read.text
    assert read.text.startswith("Annual Report\n\n# Water & Wine < 2\n\n## 1. Results\n\n")
    assert read.blocks[0].box == (0.12, 0.04, 0.48, 0.06)
    assert partial
    assert not any("<loc_" in text or "<text>" in text for text in partial)


def test_markdown_stays_as_the_model_wrote_it() -> None:
    read = look(ScriptedModel(named("lighton-ocr"), lambda _: "# A\n\n* b" + " word" * 100), sheet())
    assert (read.text[:8], read.blocks) == ("# A\n\n* b", ())


def test_a_question_is_answered_by_text_alone() -> None:
    read = look(
        ScriptedModel(named("granite-docling"), lambda _: "<doctag><text>three</text></doctag>"), sheet(), task="ask"
    )
    assert (read.text, read.blocks) == ("three", ())


@pytest.mark.parametrize(("stands", "correction", "turn"), [(90, 90, 270), (180, 180, 180), (270, 270, 90)])
def test_a_page_that_olmocr_calls_turned_is_turned_and_read_again(stands: int, correction: int, turn: int) -> None:
    """`stands` is how far clockwise the page was turned; the model asks for as much counter-clockwise."""

    def answer(asked: Prepared) -> str:
        assert asked.image is not None
        return OLMOCR if corner(asked.image) == "top left" else ANSWERS.format(correction)

    model = ScriptedModel(named("olmocr"), answer)
    read = look(model, sheet(1000, 1400).rotate(-stands, expand=True))
    assert len(model.seen) == 2
    assert "The pH was" in read.text
    assert (read.rotation, read.wants_turn) == (turn, 0)
    (figure,) = (block for block in read.blocks if block.kind == "figure")
    assert figure.box is not None
    assert all(0 <= share <= 1 for share in figure.box)


def test_a_page_that_is_never_upright_is_not_turned_for_ever() -> None:
    model = ScriptedModel(named("olmocr"), lambda _: ANSWERS.format(90) + "some words " * 60)
    read = look(model, sheet())
    assert 2 <= len(model.seen) <= 4
    assert "some words" in read.text


def png() -> bytes:
    out = io.BytesIO()
    sheet().save(out, "PNG")
    return out.getvalue()


def test_a_page_is_laid_out_by_its_answer(web: WebService) -> None:
    job_id = web.open(1)
    web.ledger.move(page(job_id, 1), "ready", width=400, height=560)
    get_blobs().write(page_key(job_id, 0, "png"), png())
    read = look(ScriptedModel(named("granite-docling"), lambda _: DOCTAGS), sheet())
    save_generation(page(job_id, 1), read, engine="vlm", seconds=1.0)
    content = read_content(web.ledger.page(job_id, 0))
    kinds = [block["kind"] for block in content["blocks"]]
    assert kinds[:4] == ["page_header", "title", "heading", "paragraph"]
    assert content["blocks"][0]["box"] == [48.0, 22.4, 192.0, 33.6]
    figure = next(block for block in content["blocks"] if block["kind"] == "figure")
    assert get_blobs().exists(job_key(job_id, f"figures/{figure['figure']}"))
    web.finish(job_id)
    markdown = web.get(f"/jobs/{job_id}/result?format=md").text
    assert "# Water & Wine < 2" in markdown
    assert "![](figures/p001-1.png)" in markdown
    assert "loc_" not in markdown


def test_the_cache_keeps_blocks(web: WebService) -> None:
    read = look(ScriptedModel(named("granite-docling"), lambda _: DOCTAGS), sheet())
    keep("ab" * 32, read, engine="vlm")
    entry = look_up("ab" * 32)
    assert web
    assert entry is not None
    assert generation_of(entry).blocks == read.blocks
