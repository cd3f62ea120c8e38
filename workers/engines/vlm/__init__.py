"""The `vlm` engine: Hugging Face image-text-to-text checkpoints on this machine's GPU or CPU."""

from __future__ import annotations

from workers.engines.vlm.options import VlmOptions

OPTIONS = VlmOptions
ENGINE = "workers.engines.vlm.engine:VlmEngine"
