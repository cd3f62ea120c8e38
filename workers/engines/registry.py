"""The engines by their names. A new engine is one file and one line here.

The file says `OPTIONS`, the class of its options, and `ENGINE`, the class that is made with them: itself, or as
"module:Class" where importing it takes long. `READS_PLAIN_TEXT = True` is said of an engine that gives a page's words
and no more, so that a sound text layer is as good. Every process imports the files named here.
"""

from __future__ import annotations

from importlib import import_module

from workers.engines import Engine, EngineOptions

ENGINES = {
    "ocr": "workers.engines.ocr",
    "tesseract": "workers.engines.tesseract",
    "echo": "workers.engines.echo",
    "vlm": "workers.engines.vlm",
    "openai": "workers.engines.openai",
    "vllm": "workers.engines.vllm",
}


def options_of(name: str) -> type[EngineOptions]:
    """The class of the options that the engine called `name` has. Raises KeyError for an unknown name."""
    if name not in ENGINES:
        raise KeyError(f"no engine {name!r}; known engines: {', '.join(sorted(ENGINES))}")
    options: type[EngineOptions] = import_module(ENGINES[name]).OPTIONS
    return options


def reads_plain_text(name: str) -> bool:
    """Whether the engine called `name` gives a page's words and no more. Raises KeyError for an unknown name."""
    return bool(getattr(import_module(ENGINES[name]), "READS_PLAIN_TEXT", False))


def load_engine(name: str, options: EngineOptions | None = None) -> Engine:
    """Make the engine called `name`, with its own defaults if it is told nothing; its model is not loaded yet.

    Raises KeyError for an unknown name, TypeError for the options of another engine.
    """
    kind = options_of(name)
    if not isinstance(options, kind | None):
        raise TypeError(f"the {name} engine takes {kind.__name__}, not {type(options).__name__}")
    make = import_module(ENGINES[name]).ENGINE
    if isinstance(make, str):
        module, _, class_name = make.partition(":")
        make = getattr(import_module(module), class_name)
    engine: Engine = make(options or kind())
    return engine
