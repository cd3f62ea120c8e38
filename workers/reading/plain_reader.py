"""Pages read by an engine of print beside the model that is asked about them; in a process that can be killed."""

from __future__ import annotations

from functools import cache

from workers.engines import Control, Engine, EngineOptions, Generation, PageRequest
from workers.engines.registry import load_engine
from workers.png import open_png
from workers.reading.large import unpack
from workers.reading.second_look import read_all


@cache
def loaded_engine(name: str, options: EngineOptions) -> Engine:
    """This process's engine, with its model; raises EngineError where it cannot be loaded."""
    engine = load_engine(name, options)
    engine.load()
    return engine


def read_prepared(
    packed: bytes | None, png: bytes, request: PageRequest, *, engine: str, options: EngineOptions
) -> Generation:
    """What the engine reads on a page that `workers.documents.pages` prepared for it. Raises EngineError."""
    reader = loaded_engine(engine, options)
    image = open_png(png).convert(reader.image_spec.mode)
    prepared = unpack(reader, packed, request) if packed else reader.prepare(image, request)
    (generation,) = read_all(reader, [prepared], Control(), lambda _: image)
    return generation
