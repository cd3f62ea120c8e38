"""Writes which model types of the hub the `vlm` engine drives and which it refuses: docs/checkpoints.md and README.md.

    python -m benchmarks.checkpoints

The list is made from the registries of the installed transformers and the rules of workers/engines/vlm/checkpoint.py.
It is the same for each version the engine works with.
A checkpoint's own files have the last word: they may name another processor than the registry does.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

from tools.settings_table import replace_between
from workers.engines.profiles import find
from workers.engines.vlm.checkpoint import refusal
from workers.engines.vlm.compat import IMAGE_BACKENDS, MODEL_CLASSES, processor_class, processor_parts
from workers.engines.vlm.processor import IMAGE_ONLY, PLACES_IMAGE_ITSELF, PROCESSOR_CLASSES
from workers.prompts import TRANSCRIBE

ROOT = Path(__file__).parents[1]
PAGE, README = ROOT / "docs" / "checkpoints.md", ROOT / "README.md"
MARKS = "<!-- checkpoints begin -->", "<!-- checkpoints end -->"

VERSIONS = "5.23 and 5.24"  # of transformers, whatever is installed; a test compares this with pyproject.toml

# Model types that the last of these versions lists and the first does not, and why they are refused, if they are.
ADDED_IN = "5.24"
ADDED = {
    "apertus1p5": "its image processor exists for torchvision only",
    "hy_v4_vl": "",
    "inkling2_loop": "its image processor exists for torchvision only",
}

# Model types of the tiny checkpoints in tests/; a test compares this with them.
TESTED = {
    "florence2", "gemma3", "glm_ocr", "got_ocr2", "granite_docling", "idefics2", "idefics3", "internvl", "lighton_ocr",
    "llava", "llava_next", "llava_onevision", "paddleocr_vl", "paligemma", "pix2struct", "qwen2_5_vl", "qwen2_vl",
    "qwen3_vl", "smolvlm", "vision-encoder-decoder",
}  # fmt: skip

# Checkpoints people ask for, by the model type in their config.json, as their model cards tell.
KNOWN_AS = {
    "florence2": "Florence-2",
    "gemma3": "Gemma 3",
    "glm_ocr": "GLM-OCR",
    "got_ocr2": "GOT-OCR2",
    "granite_docling": "newer Granite-Docling",
    "idefics2": "Idefics2",
    "idefics3": "Idefics3, SmolVLM 1, granite-docling-258M, SmolDocling",
    "internvl": "InternVL 3 in its -hf form",
    "lighton_ocr": "LightOnOCR",
    "llava": "LLaVA 1.5",
    "llava_next": "LLaVA-NeXT (1.6)",
    "llava_onevision": "LLaVA-OneVision",
    "paddleocr_vl": "PaddleOCR-VL",
    "paligemma": "PaliGemma",
    "pix2struct": "Pix2Struct, DePlot",
    "qwen2_5_vl": "Qwen2.5-VL, olmOCR, Nanonets-OCR",
    "qwen2_vl": "Qwen2-VL, MinerU 2.5",
    "qwen3_vl": "Qwen3-VL, Chandra",
    "smolvlm": "SmolVLM 2",
    "vision-encoder-decoder": "Nougat, TrOCR, the reader of training/; Donut with PROMPT_STYLE=raw",
}

HEAD = """# Checkpoints the `vlm` engine drives

Written by `python -m benchmarks.checkpoints` for transformers {versions}. What counts is
`model_type` in a checkpoint's `config.json`. *Tested* means that tests/ runs a tiny checkpoint of the type: its batch
equals its single pages, and this engine's loop equals `generate()`. *Same path* means that nothing is known to stand
in the way, and that nobody has looked. Code that comes with a checkpoint is never run (`trust_remote_code=False`), so
types that exist only as such code (dots.ocr, DeepSeek-OCR 1) are refused, as is every type that is not listed here.
torchvision is neither needed nor used: images are prepared by Pillow, videos not at all.

Prompt styles (`PROMPT_STYLE=auto` finds out): *chat* has a chat template, *raw* takes the prompt as it stands,
*none* takes the image alone. A prompt in the table is what a plain transcription asks of that type.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the table says of one model type; `reason` is empty where it is driven."""

    model_type: str
    reason: str

    @property
    def is_tested(self) -> bool:
        return self.model_type in TESTED and not self.reason

    @property
    def name(self) -> str:
        return f"`{self.model_type}`" + (f" (from {ADDED_IN} on)" if self.model_type in ADDED else "")


def judge_all() -> list[Verdict]:
    """All model types that one of the versions lists, in order."""
    unseen = [Verdict(model_type=name, reason=reason) for name, reason in ADDED.items() if name not in MODEL_CLASSES]
    return sorted([*map(judge, MODEL_CLASSES), *unseen], key=attrgetter("model_type"))


def judge(model_type: str) -> Verdict:
    """The engine's rules first, then what the registries say of the processor."""
    return Verdict(model_type=model_type, reason=refusal(model_type) or _processor_refusal(model_type))


def _processor_refusal(model_type: str) -> str:
    backends = IMAGE_BACKENDS.get(model_type)
    if backends and "pil" not in backends:
        return "its image processor exists for torchvision only"
    name = PROCESSOR_CLASSES.get(model_type)
    try:
        parts = set(processor_parts(processor_class(name))) if name else set()
    except ImportError:
        return f"{name} exists for torchvision only"
    unknown = sorted(parts - {"image_processor", "tokenizer", "video_processor", "feature_extractor"})
    return f"its processor also takes {', '.join(unknown)}" if unknown else ""


def write_table() -> Iterator[str]:
    """The page, line by line."""
    verdicts = judge_all()
    yield HEAD.format(versions=VERSIONS)
    yield "## Tested\n"
    yield "| model type | checkpoints | style | prompt |"
    yield "|---|---|---|---|"
    for verdict in filter(lambda v: v.is_tested, verdicts):
        name = verdict.model_type
        style = "raw" if name in PLACES_IMAGE_ITSELF else "none" if name in IMAGE_ONLY else "chat"
        own = find("", name).prompt
        prompt = f"`{own}`" if own not in ("", TRANSCRIBE) else ""
        yield f"| `{name}` | {KNOWN_AS.get(name, '')} | {style} | {prompt} |"
    yield "\n## Same path\n"
    yield ", ".join(v.name for v in verdicts if not v.reason and not v.is_tested) + "."
    yield "\n## Refused\n"
    yield "| model type | why |"
    yield "|---|---|"
    for verdict in filter(lambda v: v.reason, verdicts):
        yield f"| {verdict.name} | {verdict.reason} |"


def write_note() -> Iterator[str]:
    """The README's note, line by line: the names only."""
    verdicts = judge_all()
    tested = "; ".join(
        f"{KNOWN_AS[v.model_type]} (`{v.model_type}`)" if v.model_type in KNOWN_AS else f"`{v.model_type}`"
        for v in verdicts
        if v.is_tested
    )
    same_path = ", ".join(v.name for v in verdicts if not v.reason and not v.is_tested)
    refused = ", ".join(v.name for v in verdicts if v.reason)
    paragraphs = (
        f"By `model_type` in a checkpoint's `config.json`, for transformers {VERSIONS}:",
        f"**Tested** on tiny checkpoints: {tested}.",
        f"**Same path**, so expected to work: {same_path}.",
        f"**Refused**, with the reason: {refused}, and every type that comes with code of its own.",
    )
    for paragraph in paragraphs:
        yield ""
        yield from textwrap.wrap(paragraph, width=120, break_on_hyphens=False, break_long_words=False)
    yield ""


def main() -> None:
    PAGE.write_text("\n".join(write_table()) + "\n")
    README.write_text(replace_between(README.read_text(), MARKS, write_note()))


if __name__ == "__main__":
    main()
