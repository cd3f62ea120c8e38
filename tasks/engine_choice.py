"""Which engine reads, where the settings leave it open, and what to set where a GPU would stay idle by it."""

from __future__ import annotations

from tasks.settings import Settings
from workers.processes import num_gpus

ON_CPU = ("ocr", "tesseract")  # engines that cannot use a GPU


def chosen_engine(settings: Settings) -> str:
    """The engine of this machine; `auto` is `vlm` where CUDA and a MODEL are present, else `ocr`."""
    if settings.engine != "auto":
        return settings.engine
    return "vlm" if settings.model and num_gpus() else "ocr"


def idle_gpu_advice(settings: Settings) -> str:
    """What to set where a GPU is here and the engine reads on the CPU; "" where all is well, or DEVICE wants it so."""
    engine = chosen_engine(settings)
    if settings.device == "cpu" or engine not in ON_CPU or not num_gpus():
        return ""
    return (
        f"A GPU is here and stays idle, for the engine {engine} reads on the CPU. To use it set ENGINE=vlm and "
        "MODEL, such as MODEL=ibm-granite/granite-docling-258M; to leave it idle set DEVICE=cpu."
    )
