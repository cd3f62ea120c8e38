"""The marks that list items begin with."""

from __future__ import annotations

import re

BULLET = re.compile(r"[•◦▪‣●○■□∙⁃➢➤✓✔❖]")
MARK = re.compile(
    r"[•◦▪‣●○■□∙⁃➢➤✓✔❖·*–—-]|\(?\d{1,3}[.)]|\(?[a-zA-Z][.)]|\(?[ivxIVX]{1,5}[.)]|\[[\w+-]{1,8}\]|\d{1,2}(?:\.\d{1,2})+\.?"
)
