"""Synthetic pages: text drawn in rows on a small grey sheet, with the place of every character."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from training.fonts import load_face
from training.words import Words


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """A drawn word; `edges` are the x of each character's left side and the last one's right side, in pixels.

    `middle` is the y halfway up a lower-case letter at the left edge of the page, `slope` its change per pixel of x.
    """

    text: str
    edges: NDArray[np.float64]
    middle: float
    slope: float

    def centre(self, position: int) -> tuple[float, float]:
        """Return the x and y of the middle of the character at a 0-based position."""
        x = float(self.edges[position] + self.edges[position + 1]) / 2
        return x, self.middle + self.slope * x


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A drawn page: grey pixels `[height, width]` (uint8) and its lines of words from top to bottom."""

    pixels: NDArray[np.uint8]
    lines: list[list[Word]]

    @property
    def text(self) -> str:
        """The page's text: words parted by one space, lines by a newline."""
        return "\n".join(" ".join(word.text for word in line) for line in self.lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How a page looks; lengths are in pixels of the finished page, `scale` is the factor it is drawn at first."""

    body: Path
    heading: Path
    size: float
    pitch: float
    left: float
    right: float
    space: float
    prose: float
    slope: float
    scale: float
    is_dense: bool


def draw_style(rng: random.Random, faces: Sequence[Path], width: int, *, is_dense: bool) -> Style:
    """Draw the looks of one page at random: typefaces, size, line pitch, margins, skew.

    A dense page is filled from edge to edge, which teaches the most letters per pixel.
    """
    size = rng.uniform(14, 19) if is_dense or rng.random() < 0.6 else rng.uniform(14, 23)
    return Style(
        body=_choose_face(rng, faces),
        heading=_choose_face(rng, faces),
        size=size,
        pitch=max(17.0, size * rng.uniform(1.1, 1.2 if is_dense else 1.7)),
        left=rng.uniform(3, width * (0.03 if is_dense else 0.12)),
        right=width - rng.uniform(3, width * (0.03 if is_dense else 0.12)),
        space=rng.uniform(0.85, 1.6),
        prose=rng.choice((0.9, 0.75, 0.5)),
        slope=rng.uniform(-0.006, 0.006) if rng.random() < 0.15 else 0.0,
        scale=rng.uniform(1.3, 2.2) if rng.random() < 0.4 else 1.0,
        is_dense=is_dense,
    )


def _choose_face(rng: random.Random, faces: Sequence[Path]) -> Path:
    """Choose an upright face two times in three where there is one."""
    upright = [path for path in faces if not path.stem.endswith(("Italic", "Oblique"))]
    return rng.choice(upright if upright and rng.random() < 0.67 else faces)


def draw_page(
    rng: random.Random,
    source: Words,
    faces: Sequence[Path],
    *,
    height: int,
    width: int,
    max_lines: int,
    is_dense: bool = False,
) -> Page:
    """Draw one page of at most `max_lines` lines; everything about it follows from `rng`."""
    style = draw_style(rng, faces, width, is_dense=is_dense)
    canvas = (round(width * style.scale), round(height * style.scale))
    paper = rng.randint(200, 255)
    image = Image.new("L", canvas, paper)
    pen, ink = ImageDraw.Draw(image), rng.randint(0, 90)
    lines: list[list[Word]] = []
    y = rng.uniform(2, 2 + (8 if is_dense else style.pitch))
    while len(lines) < max_lines:
        is_heading = rng.random() < (0.3 if not lines else 0.04) * (not style.is_dense)
        size = min(28.0, style.size * rng.uniform(1.1, 1.5)) if is_heading else style.size
        face = load_face(style.heading if is_heading else style.body, round(size * style.scale, 1))
        pitch = max(style.pitch, size * 1.15)
        if y + pitch + 2 > height - abs(style.slope) * width:
            break
        lines.append(_draw_line(rng, pen, source, style, face, y, ink))
        y += pitch + (style.pitch * rng.uniform(0.3, 1.0) if rng.random() < 0.18 * (not style.is_dense) else 0.0)
    return Page(pixels=_age(rng, image, style, (width, height), paper), lines=lines)


def _draw_line(
    rng: random.Random,
    pen: ImageDraw.ImageDraw,
    source: Words,
    style: Style,
    face: ImageFont.FreeTypeFont,
    top: float,
    ink: int,
) -> list[Word]:
    """Draw words from the left margin until the line is full or ends early; return at least one word."""
    left = style.left + (rng.uniform(10, 40) if rng.random() < 0.12 else 0.0)
    right = (
        style.right if style.is_dense or rng.random() < 0.75 else left + (style.right - left) * rng.uniform(0.2, 0.95)
    )
    space = face.getlength(" ") / style.scale * style.space
    prose = style.prose
    middle = top + (face.getmetrics()[0] - 0.26 * face.size) / style.scale
    words: list[Word] = []
    x = left
    while True:
        text = source.draw(rng, prose=prose)
        while not words and len(text) > 1 and x + face.getlength(text) / style.scale > style.right:
            text = text[:-1]
        edges = np.array([x + face.getlength(text[:end]) / style.scale for end in range(len(text) + 1)])
        if words and edges[-1] > right:
            return words
        pen.text((x * style.scale, top * style.scale), text, font=face, fill=ink)
        words.append(Word(text=text, edges=edges, middle=middle, slope=style.slope))
        x = float(edges[-1]) + space * (rng.uniform(2, 6) if rng.random() < 0.03 else 1.0)


def _age(rng: random.Random, image: Image.Image, style: Style, size: tuple[int, int], paper: int) -> NDArray[np.uint8]:
    """Shear, shrink, blur and add noise, each to a share of the pages."""
    if style.slope:
        shear = (1, 0, 0, -style.slope, 1, 0)
        image = image.transform(image.size, Image.Transform.AFFINE, shear, Image.Resampling.BICUBIC, fillcolor=paper)
    if image.size != size:
        image = image.resize(size, rng.choice((Image.Resampling.BICUBIC, Image.Resampling.BILINEAR)))
    if rng.random() < 0.2:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 0.6)))
    pixels = np.asarray(image, dtype=np.float32)
    if rng.random() < 0.5:
        noise = np.random.default_rng(rng.getrandbits(32)).normal(0, rng.uniform(1, 8), pixels.shape)
        pixels = pixels + noise.astype(np.float32)
    return pixels.clip(0, 255).astype(np.uint8)
