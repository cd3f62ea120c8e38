"""Every model's recorded answer, by its own reader, in every format of results: run it with -s to see the matrix."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator

import docx
import pytest
from recorded_answers import RECORDED
from test_reading_answers import ScriptedModel
from test_reading_two_steps import mineru, sheet
from web_service import WebService, page

from tasks.blobs import page_key
from tasks.page_end import save_generation
from tasks.services import get_blobs
from workers.engines import Control, Generation, PageRequest, Prepared
from workers.engines.profiles import Profile, profiles
from workers.prompts import TRANSCRIBE
from workers.reading.second_look import read_all
from workers.results.formats import FORMATS

SHOWN = [name for name in FORMATS if name not in ("pdf", "zip")]  # which are made of the source and of the others
WORDS = {"Water", "Wine", "wells", "Well", "Depth", "north", "frac"}  # of the made-up page, in every dialect
SAYS_NO_MARKS = re.compile(
    r"loc_\d|<\|ref|<\|box|data-bbox|fcel|primary_language|\"bbox\": \[\d+, \d+, \d+, \d+\], \"cat"
)


def answer_of(profile: Profile, asked: Prepared) -> str:
    if profile.dialect == "mineru":
        assert asked.image is not None
        return mineru(profile.resolve(asked.request.prompt), asked.image)
    return RECORDED[profile.dialect]


def read(profile: Profile) -> Generation:
    model = ScriptedModel(profile, lambda asked: answer_of(profile, asked))
    model.image_spec = profile.spec(5.0)
    request = PageRequest(page_number=1, prompt=TRANSCRIBE)
    image = sheet()
    (generation,) = read_all(model, [model.prepare(profile.view(image, request), request)], Control(), lambda _: image)
    return generation


def finished_job(web: WebService, profile: Profile) -> str:
    job_id, image, out = web.open(1), sheet(), io.BytesIO()
    image.save(out, "PNG")
    get_blobs().write(page_key(job_id, 0, "png"), out.getvalue())
    web.ledger.move(page(job_id, 1), "ready", width=image.width, height=image.height)
    save_generation(page(job_id, 1), read(profile), engine="vlm", seconds=1.0)
    web.finish(job_id)
    return job_id


def text_in(name: str, data: bytes) -> str:
    """What a reader of the format finds, as far as words go."""
    if name == "docx":
        found = docx.Document(io.BytesIO(data))
        cells = (cell.text for table in found.tables for row in table.rows for cell in row.cells)
        return " ".join([*(each.text for each in found.paragraphs), *cells, found.element.xml])
    return data.decode()


def rows(web: WebService) -> Iterator[tuple[Profile, dict[str, str]]]:
    """Profiles with what each format says; those with one reader and one grid have the same."""
    known: dict[tuple[str, int], dict[str, str]] = {}
    for profile in profiles().values():
        kind = profile.dialect, profile.grid
        if kind not in known:
            job_id = finished_job(web, profile)
            got = {name: web.get(f"/jobs/{job_id}/result?format={name}") for name in SHOWN}
            assert {name: answer.text[:300] for name, answer in got.items() if answer.status_code != 200} == {}
            known[kind] = {name: text_in(name, answer.data) for name, answer in got.items()}
        yield profile, known[kind]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_every_model_in_every_format(web: WebService) -> None:
    lost: list[str] = []
    put(["profile", "reader", *SHOWN])
    for profile, texts in rows(web):
        counts = {name: sum(word in text for word in WORDS) for name, text in texts.items()}
        put([profile.name, profile.dialect, *(f"{count}/{len(WORDS)}" for count in counts.values())])
        lost += [f"{profile.name} as {name}: {sorted(word for word in WORDS if word not in text)}"
                 for name, text in texts.items() if counts[name] < len(WORDS)]  # fmt: skip
        marked = [name for name, text in texts.items() if SAYS_NO_MARKS.search(text)]
        lost += [f"{profile.name} has marks of its dialect as {name}" for name in marked]
    assert not lost


def put(cells: list[str]) -> None:
    first, second, *rest = cells
    sys.stdout.write(f"{first:16}{second:10}{''.join(f'{cell:>8}' for cell in rest)}\n")
