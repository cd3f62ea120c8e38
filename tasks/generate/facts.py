"""What a GPU worker tells of itself for the system page: where it runs, what it uses, how fast it is."""

from __future__ import annotations

import sys
from typing import Any

from tasks.lanes import own_lane
from tasks.services import engine_options
from workers.engines import Engine
from workers.processes import process_facts

MIB = 1 << 20


def engine_facts(engine: Engine) -> dict[str, Any]:
    """Of a worker with an engine: also what the engine is, and the device that it computes on."""
    return {"model": model_of(engine), "revision": engine.revision} | process_facts() | device_facts()


def model_of(engine: Engine) -> str:
    """The model's id or the last part of its folder, for an engine that has one to choose; else what it is."""
    model = str(getattr(engine_options(own_lane()), "model", "") or engine.revision)
    return model.rstrip("/").rpartition("/")[2] if model.startswith(("/", "./", "~")) else model


def device_facts() -> dict[str, Any]:
    """The GPU that torch uses in this process, where it was loaded and uses one, and what it has reserved there."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available() or not torch.cuda.is_initialized():
        return {"device": "CPU"}
    return {"device": torch.cuda.get_device_name(), "device_memory_mb": torch.cuda.memory_reserved() // MIB}
