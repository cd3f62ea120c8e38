"""One page made ready for an engine: rendered, looked at, prepared. Runs in a process of `workers.sandbox.sandbox`."""

from __future__ import annotations

import hashlib
import io
import logging
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from pathlib import Path

from PIL import Image

from workers.documents.images import fit, is_grey
from workers.documents.kinds import DocumentLimits
from workers.documents.open import READERS, PageImage, load_reader, read_words, render_page
from workers.documents.tiles import shown
from workers.engines import Engine, EngineOptions, ImageSpec, PageRequest
from workers.engines.registry import load_engine
from workers.reading.large import is_large, pack_large
from workers.reading.layer_lines import LayerWord
from workers.reading.page_layer import LayerVerdict, PageLayer, judge_page_layer

logger = logging.getLogger(__name__)

PNG_LEVEL = 1  # zlib's fastest
LOOK_SPEC = ImageSpec(factor=32, max_side=1760)  # what a text layer is compared with: A4 at 150 dpi
LARGE_ENOUGH = 0.8  # of that
WARM_UP_SIZE = (256, 256)  # px


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedPage:
    """What the engine's process needs of a page, and what the page's record says of it.

    `packed` is None where the PNG is all that the engine needs, and for a page that needs none: one that is blank, or
    that its text layer stands for. The PNG is smaller than what the
    engine reads where that is too large for people.
    """

    png: bytes
    packed: bytes | None
    width: int  # pixels, of the PNG
    height: int
    rotation: int  # degrees clockwise that the document turned the page by
    is_blank: bool
    text_layer: str
    num_tokens: int
    digest: str = ""  # SHA-256 of the image's mode, size and pixels
    revision: str = ""  # of the engine, as it identifies its weights
    layer_verdict: LayerVerdict = ""  # what a look at the pixels says of the text layer; "" where nobody looked
    layer_words: tuple[LayerWord, ...] = ()  # of a layer that is sound or partial, in pixels of the PNG


def prepare_page(
    path: Path | str,
    index: int,
    *,
    engine: str,
    options: EngineOptions,
    request: PageRequest,
    dpi: int = 0,
    password: str = "",
    limits: DocumentLimits,
    judges_layer: bool = False,
) -> PreparedPage:
    """Render the page at this 0-based index as `engine` wants it; unless it is blank, do the engine's CPU side.

    With `judges_layer` a look at the pixels says whether the page's text layer stands for it; no engine needs it then.
    Raises DocumentError for a page that cannot be rendered, EngineError for one that cannot be prepared.
    """
    preparer = get_engine(engine, options)
    spec = preparer.image_spec
    if request.task != "transcribe":
        spec = replace(spec, min_letter=0.0)  # tiles would each have an answer
    page = render_page(path, index, spec=spec, dpi=dpi, password=password, limits=limits)
    seen = shown(page.image)
    layer = PageLayer(text=page.text_layer)
    if judges_layer and not page.is_blank and page.text_layer.strip():
        layer = judge_layer(path, index, page, seen, password=password, limits=limits)
    packed, num_tokens = None, 0
    is_read = not page.is_blank and (layer.verdict != "sound" or request.task == "extract")
    if is_read and is_large(page.image, preparer):
        packed, num_tokens = pack_large(preparer, page.image, request, seen)
    elif is_read:
        prepared = preparer.prepare(page.image, request)
        packed, num_tokens = preparer.pack(prepared), prepared.num_tokens
    return PreparedPage(
        png=encode_png(seen),
        packed=packed,
        width=seen.width,
        height=seen.height,
        rotation=page.rotation,
        is_blank=page.is_blank,
        text_layer=layer.text,
        num_tokens=num_tokens,
        digest=digest_of(page.image),
        revision=preparer.revision,
        layer_verdict=layer.verdict,
        layer_words=layer.words,
    )


def judge_layer(
    path: Path | str, index: int, page: PageImage, seen: Image.Image, *, password: str = "", limits: DocumentLimits
) -> PageLayer:
    """What the page's text layer is worth, with its words on the image that people see.

    Whatever goes wrong at a hostile file leaves the layer without a verdict, and the page to the engine.
    """
    try:
        image = page.image
        if max(image.size) < LOOK_SPEC.max_side * LARGE_ENOUGH:
            image = render_page(path, index, spec=LOOK_SPEC, password=password, limits=limits).image
        words, is_picture = read_words(path, index, width=image.width, height=image.height, password=password)
        scale = seen.width / image.width, seen.height / image.height
        return judge_page_layer(image, page.text_layer, words, is_picture=is_picture, scale=scale)
    except Exception:
        logger.warning("page %d: its text layer could not be compared with it", index + 1, exc_info=True)
        return PageLayer(text=page.text_layer)


@cache
def get_engine(name: str, options: EngineOptions) -> Engine:
    """This process's instance of the engine; its model is not loaded."""
    return load_engine(name, options)


def warm_up(engine: str, options: EngineOptions) -> None:
    """Import and make all that `prepare_page` needs, so that the first page does not wait for it.

    The sandbox calls it before it limits memory, for libraries may take gigabytes of address space.
    """
    for reader in READERS:
        load_reader(reader)
    preparer = get_engine(engine, options)
    spec = preparer.image_spec
    preparer.prepare(fit(Image.new(spec.mode, WARM_UP_SIZE), spec), PageRequest(page_number=1))


def digest_of(image: Image.Image) -> str:
    """The same for images that an engine cannot tell apart, and for no others."""
    digest = hashlib.sha256(f"{image.mode} {image.width}x{image.height} ".encode())
    digest.update(image.tobytes())
    return digest.hexdigest()


def encode_png(image: Image.Image) -> bytes:
    """The image as PNG, grey where it has no colour; engines convert it to the mode of their spec."""
    out = io.BytesIO()
    (image.convert("L") if is_grey(image) else image).save(out, "PNG", compress_level=PNG_LEVEL)
    return out.getvalue()


def write_searchable_pdf(
    source: Path | str, pages: Path | str, out: Path | str, *, password: str = "", limits: DocumentLimits
) -> None:
    """Write the source as PDF with what was read as invisible text; see `searchable_pdf`, loaded here."""
    writer = import_module("workers.results.searchable_pdf")
    writer.write(Path(source), Path(pages), Path(out), password=password, limits=limits)
