"""HEIF photos through pillow-heif, an extra: it is imported in the process that renders, and nowhere else."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any


@cache
def enable_heif() -> None:
    """Let Pillow open HEIF files. Raises ImportError where pillow-heif is not installed."""
    pillow_heif: Any = import_module("pillow_heif")
    pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)
