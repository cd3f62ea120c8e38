"""Names of languages as tesseract has them, and how one that is missing is installed."""

from __future__ import annotations

import re
from collections.abc import Collection

from workers.engines import EngineError

NOT_LANGUAGES = frozenset({"osd", "equ", "snum"})  # files that tesseract lists, but not to read with
_NAME = re.compile(r"[A-Za-z]\w*(?:/[A-Za-z]\w*)?", re.ASCII)

# Debian names its packages of scripts by ISO 15924.
SCRIPT_PACKAGES = {
    "Arabic": "arab", "Armenian": "armn", "Bengali": "beng", "Canadian_Aboriginal": "cans", "Cherokee": "cher",
    "Cyrillic": "cyrl", "Devanagari": "deva", "Ethiopic": "ethi", "Fraktur": "frak", "Georgian": "geor",
    "Greek": "grek", "Gujarati": "gujr", "Gurmukhi": "guru", "Hangul": "hang", "Hangul_vert": "hang-vert",
    "HanS": "hans", "HanS_vert": "hans-vert", "HanT": "hant", "HanT_vert": "hant-vert", "Hebrew": "hebr",
    "Japanese": "jpan", "Japanese_vert": "jpan-vert", "Kannada": "knda", "Khmer": "khmr", "Lao": "laoo",
    "Latin": "latn", "Malayalam": "mlym", "Myanmar": "mymr", "Oriya": "orya", "Sinhala": "sinh", "Syriac": "syrc",
    "Tamil": "taml", "Telugu": "telu", "Thaana": "thaa", "Thai": "thai", "Tibetan": "tibt", "Vietnamese": "viet",
}  # fmt: skip


def parse(languages: str) -> list[str]:
    """The names in `deu+fra`, each once. Raises EngineError for what is not written so."""
    names = languages.split("+")
    if not all(map(_NAME.fullmatch, names)):
        raise EngineError(f"{languages!r:.80} is no language; write eng, or deu+fra for several.")
    return list(dict.fromkeys(names))


def require(names: Collection[str], installed: Collection[str]) -> None:
    """Raises EngineError that says what to install where one of them is missing."""
    missing = [name for name in names if name not in installed or name in NOT_LANGUAGES]
    if missing:
        packages = " ".join(map(package_of, missing))
        raise EngineError(
            f"tesseract has no language {', '.join(missing)} here. Install it (apt-get install {packages}, or brew "
            f"install tesseract-lang); installed are {', '.join(readable(installed)) or 'none'}."
        )


def readable(installed: Collection[str]) -> list[str]:
    """Those that a page can be read in."""
    return sorted(set(installed) - NOT_LANGUAGES)


def package_of(name: str) -> str:
    """Debian's package of a language or a script."""
    folder, _, script = name.rpartition("/")
    if folder:
        return f"tesseract-ocr-script-{SCRIPT_PACKAGES.get(script, script.lower())}"
    return f"tesseract-ocr-{name.replace('_', '-').lower()}"
