"""The text a PDF brings along: whether it can be trusted, and how much of it another reading has.

A text layer may be garbage that looks fine on the page: fonts without a map to Unicode, text in the wrong encoding,
the leavings of a bad scan program. The limits below were set on whole pages; they are shares of the characters.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

TEXT_LAYER = "text-layer"  # what stands as the engine of a page that a PDF's own text answers for
MIN_LETTERS = 24  # fewer are a page number or a stamp, and the page's text may lie in its image
MAX_BROKEN = 0.03  # a bullet from a symbol font is private use too, but a rare one
MIN_WORD_CHARACTERS = 0.5  # letters and digits among all that is not space; leaders are taken as one mark
MIN_VOWELS = 0.2  # of Latin letters: English has 0.38, letters drawn at random 0.19, shifted ones less
MAX_ACCENTED = 0.4  # of Latin letters: Icelandic has 0.2, Cyrillic in a Latin encoding nearly 1
MAX_SINGLE = 0.5  # of words: "s p a c e d  o u t"
MAX_MEAN_WORD = 20.0  # letters; German has 6, text without its spaces any number
LOW_RECALL = 0.7  # a page whose reading has less of its text layer should be looked at

BROKEN_CATEGORIES = frozenset({"Cc", "Cn", "Co", "Cs"})  # control, unassigned, private use, half a pair
WHITE = "\t\n\r\f\v"
# UTF-8 that was read as Windows-1252 or Latin-1: two or three bytes of which the first is a lead byte
MOJIBAKE = re.compile("[\u00c2\u00c3\u00c5\u00d0\u00d1][\u0080-\u00bf\u0152-\u0178\u2013-\u203a\u20ac]|\u00e2\u20ac.")
LEADERS = re.compile(r"([^\w\s])(?:\s*\1){2,}")
WORD = re.compile(r"[^\W\d_]+")
HYPHEN = re.compile(r"(?<=\w)[-\u00ad\u2010][^\S\n]*+\n\s*+(?=\w)")
# what is written without spaces counts by characters: Thai, Lao, Khmer, kana, Han
TOKEN = re.compile(r"[\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|\w+?(?=[\u3040-\u9fff])|\w+")
SPACELESS = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")


def is_healthy(text: str, *, min_letters: int = MIN_LETTERS) -> bool:
    """Whether a text layer can stand for the page; in doubt it cannot, and the engine reads the page.

    Not healthy are: fewer letters than `min_letters`; replacement, private-use and control characters; UTF-8 in a
    Latin encoding; mostly signs; Latin letters without vowels, as shifted codes give; words torn or run together.
    """
    text = LEADERS.sub(r"\1", text)
    characters = [character for character in text if not character.isspace()]
    marks = sum(map(is_mark, characters))
    if sum(map(str.isalpha, characters)) < max(1, min_letters) or broken_share(text) > MAX_BROKEN:
        return False
    if sum(map(str.isalnum, characters)) + marks < MIN_WORD_CHARACTERS * len(characters):
        return False
    return has_latin_shape(text, min_letters) and has_words(text, min_letters)


def broken_share(text: str) -> float:
    """Share of characters that no writer meant: unmapped, control, or bytes in the wrong encoding."""
    broken = sum(c == "\ufffd" or (unicodedata.category(c) in BROKEN_CATEGORIES and c not in WHITE) for c in text)
    mistaken = sum(len(match.group()) for match in MOJIBAKE.finditer(text))
    return (broken + mistaken) / len(text) if text else 0.0


def is_mark(character: str) -> bool:
    """Whether it is a vowel sign or an accent of its own, as Indic scripts have them."""
    return unicodedata.category(character).startswith("M")


def has_latin_shape(text: str, min_letters: int) -> bool:
    """Whether the Latin letters are mixed as in a language; true for a text that is in another script."""
    latin = [c for c in text if c.isalpha() and ord(c) < 0x250]
    if len(latin) < max(min_letters, MIN_LETTERS, sum(map(str.isalpha, text)) / 2):
        return True
    accented = sum("\u00c0" <= c <= "\u00ff" for c in latin)
    vowels = sum(unicodedata.normalize("NFD", c)[0] in "aeiouAEIOU" for c in latin)
    return accented <= MAX_ACCENTED * len(latin) and vowels >= MIN_VOWELS * len(latin)


def has_words(text: str, min_letters: int) -> bool:
    """Whether letters stand in words of a likely length; scripts without spaces are not asked."""
    bare = "".join(character for character in text if not is_mark(character))
    words = [word for word in WORD.findall(bare) if not SPACELESS.search(word)]
    letters = sum(map(len, words))
    if letters < max(min_letters, MIN_LETTERS):
        return True
    single = sum(len(word) == 1 for word in words)
    return single <= MAX_SINGLE * len(words) and letters <= MAX_MEAN_WORD * len(words)


def recall(text_layer: str, text: str) -> float:
    """Share of the text layer's words, each as often as it stands there, that `text` has too; 0 to 1.

    Order, case and width of characters do not count, and words hyphenated at a line's end are put together. A text
    layer without words gives 1. With the arguments exchanged it is the share of `text` that the layer supports.
    """
    wanted = count_tokens(text_layer)
    if not wanted:
        return 1.0
    found = wanted & count_tokens(text)
    return found.total() / wanted.total()


def count_tokens(text: str) -> Counter[str]:
    return Counter(TOKEN.findall(unicodedata.normalize("NFKC", HYPHEN.sub("", text)).casefold()))
