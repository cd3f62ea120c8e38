"""Formulas as MathML, which browsers typeset by themselves.

latex2mathml escapes nothing, so nothing that could be a tag goes in, and only known elements and attributes come out.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree

from latex2mathml.converter import convert
from markupsafe import Markup

MOST_CHARACTERS = 2_000
NAMESPACE = "http://www.w3.org/1998/Math/MathML"
ELEMENT_NAMES = (
    "math mrow mi mn mo mtext mspace msub msup msubsup munder mover munderover mfrac msqrt mroot mstyle mtable mtr mtd "
    "mpadded mphantom menclose mmultiscripts mprescripts"
)
ATTRIBUTE_NAMES = (
    "display mathvariant stretchy fence form separator accent linethickness columnalign rowspacing columnspacing "
    "displaystyle scriptlevel minsize maxsize movablelimits width height depth lspace rspace notation columnlines "
    "rowlines symmetric"
)
ELEMENTS, ATTRIBUTES = frozenset(ELEMENT_NAMES.split()), frozenset(ATTRIBUTE_NAMES.split())
ALIGNED = re.compile(r"\\(begin|end)\{(?:aligned|align|align\*|split|gathered|gather|gather\*|eqnarray\*?)\}")


def render_formula(latex: str, *, is_block: bool = False) -> Markup:
    """The formula as MathML, or as it was written where it cannot be read."""
    latex = latex.strip()
    if len(latex) <= MOST_CHARACTERS:
        try:
            return typeset(latex, "block" if is_block else "inline")
        except Exception:  # the library has errors of many kinds, RecursionError among them
            pass
    return Markup('<code class="formula">{}</code>').format(latex)


def typeset(latex: str, display: str) -> Markup:
    """Raises whatever the library does, and ValueError for an element that is not known."""
    safe = ALIGNED.sub(r"\\\1{matrix}", latex).replace("<", r"\lt ").replace(">", r"\gt ")
    root = ElementTree.fromstring(convert(safe, display=display))  # made of no tags but the library's
    for element in root.iter():
        name = element.tag.removeprefix(f"{{{NAMESPACE}}}")
        if name not in ELEMENTS:
            raise ValueError(f"{name} is no element of a formula")
        element.tag = name
        for attribute in set(element.attrib) - ATTRIBUTES:
            del element.attrib[attribute]
    return Markup(ElementTree.tostring(root, encoding="unicode"))
