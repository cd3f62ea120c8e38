"""Whether the text layer of a page stands for what can be seen on it: by its pixels, not by its letters alone.

Two things are asked. Cover: how much of what looks like text lies under the layer's words; a scan with a stamp has a
few per cent. Agreement: some lines spread over the page are read, and compared with the layer's words there; shifted
alphabets and the leavings of a bad scan program differ. Lines in a script that the reader does not know cannot be
compared: where all are, cover decides, and the caller's look at the letters (`is_healthy`).
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean
from typing import Literal, NamedTuple, Protocol

import numpy as np
from PIL import Image

from workers.reading.layer_cover import Cover, cover_of
from workers.reading.layer_lines import LayerWord, Piece, likeness, num_letters, pieces_of, plain, sample
from workers.reading_order import Box
from workers.text_lines import Pixels, Reading

MEAN_LIKENESS, LEAST_LIKENESS = 0.8, 0.5  # of the lines that were read; less rejects the layer
PICTURE_LIKENESS = 0.92  # mean over a scan, where the layer is an older reading, that ours should not be better than
KNOWN_SHARE = 0.8  # of a line's letters, that the reader can write, if the line is compared
SURELY_OTHER = 0.95  # confidence with which a line of letters unknown to the reader is read as letters that it knows
LEAST_SEEN = 0.5  # share of the layer's letters that stand on ink; journals print a line in white at the foot
LEAST_COVER = 0.1  # share of what looks like text; a layer with less is a stamp or a page number
BARE_CELLS, BARE_OF_PICTURE = 8, 4  # parts of lines under no word, from which some of the page, or of a scan, is bare
PICTURE_INK = 0.3  # of the ink of a page that is a picture, that lies under words
MOSTLY = 0.5  # of what looks like text is bare: then it is, whether it can be read or not
RUNS_READ = 3  # of those parts, read to see whether they are text
TEXT_CONFIDENCE, TEXT_LETTERS, TEXT_DENSITY = 0.8, 3, 0.5  # of a run that is text; letters for each height of length
CROP_MARGIN = 0.1  # of a line's height


class LineReader(Protocol):
    """Reads single lines: `characters` is what it can write."""

    characters: frozenset[str]

    def read(self, crops: Sequence[Pixels]) -> list[Reading]: ...


class Trust(NamedTuple):
    """What a text layer is worth: `sound` stands for the page, `partial` for a part of it, `unsound` for nothing.

    `reason` is a sentence for logs. `cover` is a share of 0 to 1, `agreement` too, or None where no line could be
    compared. `words` are those that can be seen; `bare` are boxes of text under no word of a partial layer.
    """

    verdict: Literal["sound", "partial", "unsound"]
    reason: str
    cover: float = 0.0
    agreement: float | None = None
    words: tuple[LayerWord, ...] = ()
    bare: tuple[Box, ...] = ()


def judge_layer(
    image: Image.Image, words: Sequence[LayerWord], reader: LineReader, *, is_picture: bool = False
) -> Trust:
    """What the words of a text layer are worth for the page in `image`, whose pixels their boxes are.

    `is_picture` is said of a page that is a picture for the most part, as a scan is: there, ink that is not under words
    is handwriting more often than drawing.
    """
    if not words:
        return Trust("unsound", "the layer has no words")
    cover = cover_of(image, words)
    if num_letters(cover.words) < LEAST_SEEN * num_letters(words):
        return Trust("unsound", "most of the layer stands where there is no ink", cover.text)
    if cover.text < LEAST_COVER:
        return Trust("unsound", f"the layer covers {cover.text:.0%} of what looks like text", cover.text)
    least_mean = PICTURE_LIKENESS if is_picture else MEAN_LIKENESS
    agreement, reason = agreement_of(image, cover.words, reader, least_mean)
    if reason:
        return Trust("unsound", reason, cover.text, agreement)
    if is_picture and cover.ink < PICTURE_INK:
        reason = f"the layer covers {cover.ink:.0%} of a picture's ink"
        return Trust("partial", reason, cover.text, agreement, cover.words, cover.runs)
    if cover.cells >= (BARE_OF_PICTURE if is_picture else BARE_CELLS) and has_text(image, cover, reader):
        reason = f"the layer covers {cover.text:.0%} of the text"
        return Trust("partial", reason, cover.text, agreement, cover.words, cover.runs)
    return Trust("sound", "", cover.text, agreement, cover.words)


def agreement_of(
    image: Image.Image, words: Sequence[LayerWord], reader: LineReader, least_mean: float
) -> tuple[float | None, str]:
    """How alike the layer and what is read are, and why that rejects the layer, or ""."""
    pieces = sample(pieces_of(words))
    if not pieces:
        return None, ""
    readings = reader.read([crop(image, piece.box, piece.angle) for piece in pieces])
    pairs = list(zip(pieces, readings, strict=True))
    foreign = [reading for piece, reading in pairs if not is_known(piece, reader)]
    if foreign and mean(reading.confidence for reading in foreign) >= SURELY_OTHER:
        return 0.0, "lines are in letters that the page does not have"
    likenesses = [likeness(piece.text, reading.text) for piece, reading in pairs if is_known(piece, reader)]
    if not likenesses:
        return None, ""
    agreement = mean(likenesses)
    if agreement < least_mean or min(likenesses) < LEAST_LIKENESS:
        return agreement, f"lines are read otherwise: alike by {agreement:.0%}, the least by {min(likenesses):.0%}"
    return agreement, ""


def is_known(piece: Piece, reader: LineReader) -> bool:
    letters = plain(piece.text)
    return sum(character in reader.characters for character in letters) >= KNOWN_SHARE * len(letters)


def crop(image: Image.Image, box: Box, angle: int = 0) -> Pixels:
    """The line in `box`, with a margin, turned so that it is level."""
    margin = 1 + CROP_MARGIN * min(box[2] - box[0], box[3] - box[1])
    x0, y0 = max(0, int(box[0] - margin)), max(0, int(box[1] - margin))
    x1, y1 = min(image.width, int(box[2] + margin) + 1), min(image.height, int(box[3] + margin) + 1)
    part = np.asarray(image.crop((x0, y0, max(x1, x0 + 1), max(y1, y0 + 1))).convert("RGB"))[:, :, ::-1]
    return np.ascontiguousarray(np.rot90(part, angle // 90))


def has_text(image: Image.Image, cover: Cover, reader: LineReader) -> bool:
    """Whether what is under no word is text: any of its longest runs can be read, or it is the most of the page."""
    if cover.text < MOSTLY:
        return True
    runs = cover.runs[:RUNS_READ]
    return any(map(is_text, reader.read([crop(image, run) for run in runs]), runs))


def is_text(reading: Reading, run: Box) -> bool:
    letters = len(plain(reading.text))
    length = (run[2] - run[0]) / max(1.0, run[3] - run[1])
    return reading.confidence >= TEXT_CONFIDENCE and letters >= max(TEXT_LETTERS, TEXT_DENSITY * length)
