"""The engines by their names. A new engine is one file and one line here."""

from __future__ import annotations

import importlib

from workers.engines import Engine, EngineOptions

ENGINES = {
    "ocr": "workers.engines.ocr.engine:OcrEngine",
    "echo": "workers.engines.echo:EchoEngine",
    "vlm": "workers.engines.vlm.engine:VlmEngine",
    "openai": "workers.engines.openai.engine:OpenAIEngine",
}


def load_engine(name: str, options: EngineOptions) -> Engine:
    """Make the engine called `name`; its model is not loaded yet. Raises KeyError for an unknown name."""
    if name not in ENGINES:
        raise KeyError(f"no engine {name!r}; known engines: {', '.join(sorted(ENGINES))}")
    module_name, _, class_name = ENGINES[name].partition(":")
    engine: Engine = getattr(importlib.import_module(module_name), class_name)(options)
    return engine
