"""The text layer of a page that was just rendered: whether it stands for the page, and its words on the image.

The recogniser is loaded here, in the render process, with the first page that has a layer worth a look.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Literal

from PIL import Image

from workers.documents.text_layer import is_healthy
from workers.engines import EngineError
from workers.reading.layer_lines import LayerWord, lines_of, num_letters
from workers.reading.trust import LineReader, judge_layer

logger = logging.getLogger(__name__)

LayerVerdict = Literal["", "sound", "partial", "unsound"]

READER = "workers.engines.ocr.light"


@dataclass(frozen=True, slots=True, kw_only=True)
class PageLayer:
    """A page's text layer: `verdict` is "" where nobody looked, or nothing is installed that could.

    `words` are those that can be seen, in pixels of the image that people see; `text` is what they make up.
    """

    text: str
    verdict: LayerVerdict = ""
    words: tuple[LayerWord, ...] = ()


def judge_page_layer(
    image: Image.Image, text: str, words: Sequence[LayerWord], *, is_picture: bool, scale: tuple[float, float]
) -> PageLayer:
    """What the layer `text`, whose `words` lie on the image, is worth; `scale` brings boxes onto the one people see."""
    if not is_healthy(text, min_letters=1):
        return PageLayer(text=text, verdict="unsound")
    try:
        reader: LineReader = import_module(READER).light_reader()
    except EngineError as exc:
        logger.warning("text layers are trusted by their letters alone: %s", exc)
        return PageLayer(text=text)
    trust = judge_layer(image, words, reader, is_picture=is_picture)
    logger.debug("text layer %s: %s", trust.verdict, trust.reason)
    if trust.verdict == "unsound":
        return PageLayer(text=text, verdict="unsound")
    if num_letters(trust.words) < sum(map(str.isalnum, text)):
        text = "\n".join(line.text for line in lines_of(trust.words))
    return PageLayer(text=text, verdict=trust.verdict, words=tuple(word.scaled(*scale) for word in trust.words))
