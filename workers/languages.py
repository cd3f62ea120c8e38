"""Languages and scripts by the names that tesseract has for them, and how one that is missing is installed."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

AUTO = "auto"  # by the script of each page
DETECTOR = "osd"  # what finds that out
PATTERN = r"[A-Za-z][A-Za-z0-9_]*(/[A-Za-z][A-Za-z0-9_]*)?"
NOT_LANGUAGES = frozenset({DETECTOR, "equ", "snum"})  # files that tesseract lists, but not to read with
MOST = 3  # languages that `auto` reads a page in; each takes more time

# The languages of a script, as tesseract's detector names it, those with the most speakers first.
LANGUAGES_OF = {
    "Latin": "eng spa fra por deu ind vie ita tur pol nld ron ces swe hun dan fin nor slk cat hrv srp_latn slv lit lav "
    "est isl msa tgl swa uzb aze lat epo eus glg gle cym mlt sqi bos afr hat ltz oci bre fao fry gla jav sun ceb kmr "
    "que yor mri ton cos",
    "Fraktur": "deu_latf deu_frak frk",
    "Cyrillic": "rus ukr kaz uzb_cyrl srp bul bel aze_cyrl tgk tat mon kir mkd",
    "Greek": "ell grc",
    "Arabic": "ara fas urd pus uig snd",
    "Hebrew": "heb yid",
    "Han": "chi_sim chi_tra",
    "Japanese": "jpn",
    "Korean": "kor",
    "Thai": "tha",
    "Devanagari": "hin mar nep san",
    "Bengali": "ben asm",
    "Tamil": "tam",
    "Telugu": "tel",
    "Kannada": "kan",
    "Malayalam": "mal",
    "Gujarati": "guj",
    "Gurmukhi": "pan",
    "Oriya": "ori",
    "Sinhala": "sin",
    "Khmer": "khm",
    "Lao": "lao",
    "Myanmar": "mya",
    "Tibetan": "bod dzo",
    "Georgian": "kat kat_old",
    "Armenian": "hye",
    "Ethiopic": "amh tir",
    "Thaana": "div",
    "Syriac": "syr",
    "Cherokee": "chr",
    "Canadian_Aboriginal": "iku",
}
FILES_OF = {"Han": ("HanS", "HanT"), "Korean": ("Hangul",)}  # scripts whose files have other names

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


class LanguageError(ValueError):
    """A language is not written as one, or is not installed; the words say what to do."""


def parse(languages: str) -> list[str]:
    """The names in `deu+fra`, each once. Raises LanguageError for what is not written so."""
    names = languages.split("+")
    if not all(re.fullmatch(PATTERN, name) for name in names) or (AUTO in names and len(names) > 1):
        raise LanguageError(f"{languages!r:.80} is no language; write eng, deu+fra for several, or auto.")
    return list(dict.fromkeys(names))


def require(names: Collection[str], installed: Collection[str]) -> None:
    """Raises LanguageError that says what to install where one of the names is missing."""
    files = [DETECTOR if name == AUTO else name for name in names]
    missing = [name for name in files if name not in installed or (name in NOT_LANGUAGES and name in names)]
    if missing:
        packages = " ".join(map(package_of, missing))
        raise LanguageError(
            f"tesseract has no language {', '.join(missing)} here. Install it (apt-get install {packages}, or brew "
            f"install tesseract-lang); installed are {', '.join(readable(installed)) or 'none'}."
        )


def readable(installed: Collection[str]) -> list[str]:
    """What a page can be read in, `auto` among them where scripts can be told apart."""
    return sorted(set(installed) - NOT_LANGUAGES) + ([AUTO] if DETECTOR in installed else [])


def languages_of(script: str) -> list[str]:
    return LANGUAGES_OF.get(script, "").split()


def of_script(script: str, installed: Collection[str], default: Sequence[str]) -> list[str]:
    """What to read a page of this script in; `default` where that is not known, or nothing of it is installed.

    The default stays among them, for pages of another script have words in it, and numbers.
    """
    files = [f"script/{name}" for name in FILES_OF.get(script, (script,)) if f"script/{name}" in installed]
    names = [name for name in languages_of(script) if name in installed and name not in default]
    chosen = (files or names)[: max(1, MOST - len(default))]
    is_of_script = not set(default).isdisjoint(languages_of(script))
    return [*default, *chosen] if is_of_script else [*chosen, *default]


def covers(names: Collection[str], script: str) -> bool:
    """Whether a page of this script can be read in one of these languages."""
    files = {f"script/{name}" for name in FILES_OF.get(script, (script,))}
    return bool(files.union(languages_of(script)) & set(names))


def package_of(name: str) -> str:
    """Debian's package of a language or a script."""
    folder, _, script = name.rpartition("/")
    if folder:
        return f"tesseract-ocr-script-{SCRIPT_PACKAGES.get(script, script.lower())}"
    return f"tesseract-ocr-{name.replace('_', '-').lower()}"
