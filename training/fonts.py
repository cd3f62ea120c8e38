"""The free typefaces that training pages are drawn with, and those kept back for measuring."""

from functools import lru_cache
from pathlib import Path

from PIL import ImageFont

TRAIN_FAMILIES = ("DejaVu", "Liberation", "FreeMono", "FreeSans", "FreeSerif", "Lato", "OpenSans", "Roboto")
HELD_OUT_FAMILIES = ("Caladea", "Carlito")
_UNUSUAL = ("Black", "Cond", "ExtraLight", "Hairline", "Heavy", "Light", "Math", "Narrow", "Thin")


def find_faces(folder: Path, families: tuple[str, ...]) -> list[Path]:
    """Return the font files below `folder` of the given families, sorted by name, without hairline and condensed cuts.

    Raises `FileNotFoundError` when a family is not installed, since other faces would give another model.
    """
    files = sorted(path for path in folder.rglob("*.[to]tf") if not any(cut in path.stem for cut in _UNUSUAL))
    missing = [family for family in families if not any(path.stem.startswith(family) for path in files)]
    if missing:
        raise FileNotFoundError(f"no font files of {', '.join(missing)} below {folder}; see training/README.md")
    return sorted((path for path in files if path.stem.startswith(families)), key=lambda path: path.stem)


@lru_cache(maxsize=4096)
def load_face(path: Path, size: float) -> ImageFont.FreeTypeFont:
    """Return the face at `size` pixels per em, with basic layout, so that no shaping library changes the widths."""
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)
