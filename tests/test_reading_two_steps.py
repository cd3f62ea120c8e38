"""A model that is asked twice, layout first and then crops, through the engines that people use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from model_server import serve_model
from PIL import Image, ImageDraw
from recorded_answers import MINERU, MINERU_CROPS
from test_reading_answers import ScriptedModel
from tiny_engines import checkpoint

from workers.engines import Control, Generation, PageRequest, Prepared
from workers.engines.openai.engine import OpenAIEngine
from workers.engines.openai.options import OpenAIOptions
from workers.engines.profiles import named
from workers.engines.vlm.engine import VlmEngine
from workers.engines.vlm.options import VlmOptions
from workers.layout.dialects.mineru import regions_of
from workers.prompts import TRANSCRIBE
from workers.reading.second_look import read_all

MODEL = "opendatalab/MinerU2.5-2509-1.2B"
LAYOUT = "\nLayout Detection:"
SCALE = 4  # grey values are the tops of regions, divided by this


def sheet() -> Image.Image:
    """A page on which each region has a grey of its own, and its upper half is darker, so that a turn shows."""
    image = Image.new("RGB", (800, 1120), "white")
    draw = ImageDraw.Draw(image)
    for region in regions_of(MINERU):
        x0, y0, x1, y1 = (round(n * side / 1000) for n, side in zip(region.box, (800, 1120, 800, 1120), strict=True))
        grey = int(region.box[1]) // SCALE
        draw.rectangle((x0, y0, x1, y1), fill=(grey, grey, grey))
    return image


def read_crop(prompt: str, image: Image.Image) -> str:
    """What stands in the crop, by its grey; with the wrong prompt for its kind it is nothing."""
    grey = image.convert("L").getpixel((image.width // 2, image.height // 2))
    assert isinstance(grey, int)
    top = min(MINERU_CROPS, key=lambda known: abs(known // SCALE - grey))
    kinds = {400: "\nTable Recognition:", 580: "\nFormula Recognition:"}
    return MINERU_CROPS[top] if prompt == kinds.get(top, "\nText Recognition:") else ""


def mineru(prompt: str, image: Image.Image) -> str:
    if prompt == LAYOUT:
        assert image.size == (1036, 1036)
        return MINERU
    if image.height > image.width:
        return "<fcel>Well<fcel>Depth<lcel><nl><fcel>north<fcel>3<fcel>9<nl>"  # the table, which stands on its side
    return read_crop(prompt, image)


def check(read: Generation) -> None:
    assert read.stop_reason == "stop"
    assert [(block.kind, " ".join(block.text.split())) for block in read.blocks] == [
        ("page_header", "Annual Report"),
        ("heading", "Water & Wine"),
        ("paragraph", "The pH was \\(< 7\\) in all of the wells."),
        ("caption", "Table 1: Wells"),
        ("table", "Well Depth north 3 9"),
        ("formula", "a = \\frac{b}{c}"),
        ("figure", ""),
        ("page_footer", "12"),
    ]
    assert read.blocks[1].box == (0.12, 0.1, 0.8, 0.14)
    assert "# Water & Wine" in read.text
    assert "box_start" not in read.text


def test_a_server_is_asked_for_the_layout_and_then_for_each_crop() -> None:
    with serve_model(mineru) as server:
        engine = OpenAIEngine(OpenAIOptions(base_url=server.base_url, model=MODEL, parallel_requests=4, timeout_s=30))
        engine.load()
        try:
            image = sheet()
            pages = [engine.prepare(image, PageRequest(page_number=n, prompt=TRANSCRIBE)) for n in (1, 2)]
            partial: list[str] = []
            told: dict[int, Generation] = {}
            control = Control(on_text=lambda _, text: partial.append(text), on_done=told.__setitem__)
            reads = read_all(engine, pages, control, lambda _: image)
        finally:
            engine.close()
    for read in reads:
        check(read)
    assert told == dict(enumerate(reads))
    prompts = [body["prompt"] for body in server.bodies]
    assert prompts.count(LAYOUT) == 2
    assert len(prompts) == 2 * (1 + len(MINERU_CROPS))
    assert all(body["skip_special_tokens"] is False for body in server.bodies)
    assert "Annual Report" in partial[-1]


def scripted(answer: Any) -> ScriptedModel:
    model = ScriptedModel(named("mineru"), answer)
    model.image_spec = replace(model.image_spec, min_letter=0.0)
    return model


def look(model: ScriptedModel, control: Control | None = None, image: Image.Image | None = None, **request: Any) -> Any:
    page = Prepared(request=PageRequest(page_number=1, **request), image=None)
    return read_all(model, [page], control or Control(), lambda _: image)[0]


def test_crops_are_cut_from_the_page_that_people_see() -> None:
    model = scripted(lambda page: MINERU if page.image is None else mineru(page.request.prompt, page.image))
    check(look(model, image=sheet()))
    assert len(model.seen) == 1 + len(MINERU_CROPS)


def test_a_page_whose_image_is_gone_says_so() -> None:
    read = look(scripted(lambda _: MINERU))
    assert (read.stop_reason, read.error) == ("error", "the page's image is gone; read it again")


def test_an_answer_without_regions_stays() -> None:
    read = look(scripted(lambda _: "Just words."), image=sheet())
    assert (read.text, read.stop_reason) == ("Just words.", "stop")


def test_an_own_prompt_is_asked_once() -> None:
    model = scripted(lambda _: "<fcel>a<nl>")
    read = look(model, image=sheet(), prompt="\nTable Recognition:")
    assert len(model.seen) == 1
    assert [cell.text for cell in read.blocks[0].cells] == ["a"]


def test_a_cancelled_page_is_not_read_crop_by_crop() -> None:
    control = Control()

    def answer(_: Prepared) -> str:
        control.cancelled.add(0)
        return MINERU

    model = scripted(answer)
    assert look(model, control, sheet()).stop_reason == "cancelled"
    assert len(model.seen) == 1


@pytest.mark.parametrize("box", ["000 000 001 1000", "000 500 1000 501", "999 999 1000 1000"])
def test_slivers_become_crops_that_a_model_takes(box: str) -> None:
    text = f"<|box_start|>{box}<|box_end|><|ref_start|>text<|ref_end|><|rotate_up|>"
    sizes: list[tuple[int, int]] = []

    def answer(page: Prepared) -> str:
        if page.image is None:
            return text
        sizes.append(page.image.size)
        return "x"

    look(scripted(answer), image=sheet())
    (size,) = sizes
    assert min(size) >= 28
    assert max(size) / min(size) <= 51


class HalfScripted(VlmEngine):
    """A checkpoint of random weights that reads crops as it can, and says of whole pages what MinerU2.5 would."""

    def generate(self, batch: Sequence[Prepared], control: Control) -> list[Generation]:
        made = super().generate(batch, control)
        pairs = zip(batch, made, strict=True)
        return [replace(g, text=MINERU) if self.profile.is_first(page.request) else g for page, g in pairs]


def test_a_checkpoint_on_this_machine_is_driven_in_both_steps() -> None:
    engine = HalfScripted(
        VlmOptions(model=str(checkpoint("qwen2_vl")), device="cpu", model_profile="mineru", max_dimension=560)
    )
    engine.load()
    image = sheet().resize((400, 560))
    first = engine.prepare(image, PageRequest(page_number=1, max_new_tokens=4))
    square = engine.prepare(image.resize((1036, 1036)), PageRequest(page_number=1, prompt="\nText Recognition:"))
    assert first.tensors is not None
    assert square.tensors is not None
    assert first.tensors["pixel_values"].shape == square.tensors["pixel_values"].shape
    (read,) = read_all(engine, [first], Control(), lambda _: image)
    assert read.tokens > 4
    assert {block.box for block in read.blocks} <= {
        tuple(n / 1000 for n in region.box) for region in regions_of(MINERU)
    }
    engine.close()
