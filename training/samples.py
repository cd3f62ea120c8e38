"""Write the pages the tests and the demo read, in held-out typefaces: `python -m training.samples tests/data`."""

import argparse
import logging
from pathlib import Path

import pymupdf
from PIL import Image

from training.evaluate import draw_pages
from training.fonts import HELD_OUT_FAMILIES, find_faces
from training.presets import PRESETS
from training.words import TextSource, read_words

logger = logging.getLogger(__name__)

TITLE = "A morning at the harbour"
PROSE = """\
The ferry left at 06:45, a little late,
and the baker had sold 120 loaves before
the church clock struck seven. Two boats
brought in herring, crab and one large cod
that weighed 14.5 kg on the old scales.
A boy carried ice in a blue bucket, three
trips for 2.50, and spent it all on plums.

By noon the wind had turned to the west.
Nets hung on the wall to dry, and a grey
cat slept on the warm stones below them.
The last bus to town goes at 18:30; it
stops near the library, then at the mill.
Bring a coat, some bread and a good book."""


def write_pages(folder: Path, faces: list[Path], source: TextSource) -> None:
    """Write six pages of ten to fourteen lines as PNG files, each with its text beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, page in enumerate(draw_pages(78, 6, source, faces, PRESETS["small"].config.page, (10, 14))):
        Image.fromarray(page.pixels).save(folder / f"{index:06d}.png", optimize=True)
        (folder / f"{index:06d}.txt").write_text(page.text + "\n", encoding="utf-8")


def write_document(path: Path, face: Path) -> None:
    """Write one page of prose, 288 × 384 points, which at 96 dpi is just as large as the reader's page."""
    document = pymupdf.open()
    sheet = document.new_page(width=288, height=384)
    sheet.insert_font(fontname="F0", fontfile=str(face))
    sheet.insert_text((26, 48), TITLE, fontname="F0", fontsize=16)
    y = 82.0
    for line in PROSE.splitlines():
        sheet.insert_text((26, y), line, fontname="F0", fontsize=12.5)
        y += 20 if line else 12
    document.subset_fonts()
    document.set_metadata({"title": TITLE})
    document.save(path, garbage=4, deflate=True, no_new_id=True)


def main() -> None:
    """Write the files from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--fonts", type=Path, default=Path("/usr/share/fonts"))
    parser.add_argument("--words", type=Path, default=Path("/usr/share/dict/words"))
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    faces = find_faces(options.fonts, HELD_OUT_FAMILIES)
    write_pages(options.folder / "tiny-reader-pages", faces, TextSource(read_words(options.words), held_out=True))
    write_document(options.folder / "small-page.pdf", next(path for path in faces if path.stem == "Carlito-Regular"))
    logger.info("wrote the pages to %s", options.folder)


if __name__ == "__main__":
    main()
