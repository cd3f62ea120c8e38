"""What the `tesseract` engine can be told."""

from __future__ import annotations

from dataclasses import dataclass

from workers.engines import EngineOptions
from workers.engines.options import option


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramOptions(EngineOptions):
    """Of engines that use the program."""

    tesseract: str = option(
        "tesseract", setting="tesseract_binary", unit="name or path", help="The program of the tesseract engine."
    )
    tessdata: str = option(
        "",
        setting="tessdata_prefix",
        unit="folder",
        help="Where tesseract has its language files; empty is where it was built to look.",
    )
    timeout_s: float = option(300.0, setting="vlm_concurrent_timeout")


@dataclass(frozen=True, slots=True, kw_only=True)
class TesseractOptions(ProgramOptions):
    language: str = option(
        "eng",
        setting="tesseract_language",
        unit="languages",
        help="What pages are in where a job does not say, for tesseract: eng, deu+fra, or auto.",
        tells=True,
    )
    psm: int = option(
        3,
        setting="tesseract_psm",
        unit="mode",
        help="How tesseract looks at a page: 3 finds columns, 4 one column, 6 one block, 11 scattered text.",
        tells=True,
    )
    processes: int = option(
        0, setting="tesseract_processes", unit="processes", help="Pages tesseract reads at once; 0 is one a core."
    )
    max_dimension: int = option(
        3508,
        setting="tesseract_max_dimension",
        unit="px",
        help="Longest side of a page image for tesseract; A4 at 300 dpi.",
    )

    @property
    def knows_languages(self) -> bool:
        return True
