"""Values that a language model takes from a page by a JSON schema: checked, and asked for again if they do not fit.

What ends well has its JSON in `data`, and a table of its values as text. What does not fit ends as `invalid_answer`,
without text, so that nothing that is wrong looks like a result.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from PIL import Image

from workers.engines import Control, Engine, Generation, Prepared
from workers.reading.rows import RowsControl
from workers.reading.values import table_of, values_in
from workers.results.markdown import as_markdown
from workers.schemas import fault_of

ImageOf = Callable[[int], Image.Image | None]
FENCED = re.compile(r"```[a-zA-Z]*\s*\n(.*?)\n\s*```", re.DOTALL)
MOST_STARTS = 50  # places in an answer where JSON is looked for
MOST_SHOWN = 4000  # characters of a wrong answer that its model is shown again


def extract(
    engine: Engine, pages: Sequence[Prepared], control: Control, rows: Sequence[int], image_of: ImageOf
) -> list[Generation]:
    """One Generation a page; the pages stand in these rows for the control, which is told of each once it is sure."""
    first = Checking.of(control, rows)
    first.pages = pages
    answers = [first.checked(place, answer) for place, answer in enumerate(engine.generate(pages, first))]
    again: dict[int, Prepared] = {}
    for place, answer in enumerate(answers):
        image = pages[place].image or image_of(rows[place])
        if answer.stop_reason == "invalid_answer" and image is not None and not control.should_stop(rows[place]):
            request = pages[place].request
            words = correction(request.prompt, first.raw.get(place, ""), answer.error)
            again[place] = engine.prepare(image, replace(request, prompt=words))
    if again:
        second = Checking.of(control, [rows[place] for place in again])
        second.pages = list(again.values())
        second.spent = [answers[place].tokens for place in again]
        made = engine.generate(second.pages, second)
        for number, (place, answer) in enumerate(zip(again, made, strict=True)):
            answers[place] = second.checked(number, answer)
    return [control.done(rows[place], answer) for place, answer in enumerate(answers)]


@dataclass(slots=True)
class Checking(RowsControl):
    """Tells the caller of answers that fit; the others may be asked for again."""

    pages: Sequence[Prepared] = ()
    spent: Sequence[int] = ()  # tokens of answers before
    raw: dict[int, str] = field(default_factory=dict)
    known: dict[int, Generation] = field(default_factory=dict)

    def checked(self, row: int, answer: Generation) -> Generation:
        if row not in self.known:
            self.raw[row] = answer.text
            whole = replace(answer, tokens=answer.tokens + self.spent[row]) if self.spent else answer
            self.known[row] = check(whole, self.pages[row].request.schema)
        return self.known[row]

    def end(self, row: int, generation: Generation) -> None:
        answer = self.checked(row, generation)
        if answer.stop_reason != "invalid_answer":
            RowsControl.end(self, row, answer)


def check(answer: Generation, schema: str) -> Generation:
    """The answer with its values, or as `invalid_answer` with what is wrong in `error`."""
    if answer.stop_reason not in ("stop", "length"):
        return replace(answer, text="")
    found = list(json_in(answer.text))
    fitting = next((value for value in found if not fault_of(schema, value)), None)
    if fitting is not None:
        data = json.dumps(fitting, ensure_ascii=False)
        table = table_of(values_in(fitting))
        return replace(answer, text=as_markdown([table]), stop_reason="stop", data=data)
    if answer.stop_reason == "length":
        fault = "it was cut at its longest length, before its JSON was complete; set a larger max_new_tokens"
    else:
        fault = fault_of(schema, found[0]) if found else "it has no JSON in it"
    return replace(answer, text="", stop_reason="invalid_answer", error=f"The model's answer does not fit: {fault}.")


def json_in(text: str) -> Iterator[Any]:
    """The JSON objects in an answer, the likeliest first: the whole of it, what stands in fences, and within prose."""
    for part in (text, *FENCED.findall(text)):
        try:
            yield from (value for value in [read_json(part)] if isinstance(value, dict))
        except (ValueError, RecursionError):
            continue
    end = 0
    for match in list(re.finditer(r"\{", text))[:MOST_STARTS]:
        if match.start() < end:
            continue
        try:
            value, end = DECODER.raw_decode(text, match.start())
        except (ValueError, RecursionError):
            continue
        yield value


def refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


DECODER = json.JSONDecoder(parse_constant=refuse)


def read_json(text: str) -> Any:
    return DECODER.decode(text.strip())


def correction(prompt: str, answer: str, error: str) -> str:
    """What a model is asked whose first answer does not fit."""
    return f"{prompt}\n\nYour answer before was:\n{answer[:MOST_SHOWN]}\n\n{error} Answer again, by the schema."
