"""The runs: the shape of a reader, its stages and its learning rate."""

import dataclasses
import math
from dataclasses import dataclass

from training.batches import Stage
from training.model import ReaderConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """A reader's shape and the run that trains it; the rate falls over the last `decay` steps."""

    config: ReaderConfig
    stages: tuple[Stage, ...]
    decay: int
    rate: float = 1.5e-3
    warmup: int = 100

    @property
    def steps(self) -> int:
        """The number of steps of all stages."""
        return sum(stage.steps for stage in self.stages)


_CUTTINGS = (
    Stage(steps=500, height=128, pages=16, max_lines=9, is_dense=True, is_reading=False),
    Stage(steps=1750, height=128, pages=8, max_lines=9, is_dense=True),
    Stage(steps=80, height=256, pages=6, max_lines=16, is_dense=True),
)

PRESETS = {
    "small": Preset(
        config=ReaderConfig(),
        stages=(*_CUTTINGS, Stage(steps=2800, height=512, pages=6, max_lines=20)),
        decay=1200,
    ),
    # A4 at 100 dpi: print of 10 to 14 points is as high as the small reader's text. Meant for one large GPU.
    "a4": Preset(
        config=ReaderConfig(
            page=(1168, 832), width=256, heads=(2, 4, 4), encoder_layers=(2, 6), decoder_layers=4, max_tokens=6144
        ),
        stages=(
            Stage(steps=500, height=128, pages=64, max_lines=9, is_dense=True, is_reading=False),
            Stage(steps=2000, height=128, pages=64, max_lines=9, is_dense=True),
            Stage(steps=2000, height=336, pages=32, max_lines=24),
            Stage(steps=4000, height=1168, pages=8, max_lines=64),
        ),
        decay=3000,
    ),
    "smoke": Preset(
        config=ReaderConfig(
            page=(64, 96), width=32, heads=(1, 2, 2), encoder_layers=(1, 1), decoder_layers=2, max_tokens=128
        ),
        stages=(Stage(steps=20, height=64, pages=4, max_lines=2),),
        decay=5,
        warmup=2,
    ),
}


def toy(preset: Preset) -> Preset:
    """Return the same run with few steps, small batches and a tiny model, to see that it works."""
    config = dataclasses.replace(preset.config, width=32, heads=(1, 2, 2), encoder_layers=(1, 1), decoder_layers=2)
    stages = tuple(dataclasses.replace(stage, steps=2, pages=1) for stage in preset.stages)
    return Preset(config=config, stages=stages, decay=2, warmup=2)


def rate_at(preset: Preset, step: int) -> float:
    """Return the learning rate of a 0-based step: a linear warm-up, a plateau, a cosine to a twentieth at the end."""
    if step < preset.warmup:
        return preset.rate * (step + 1) / preset.warmup
    left = (preset.steps - step) / preset.decay
    if left >= 1:
        return preset.rate
    return preset.rate * (0.05 + 0.95 * (1 - math.cos(math.pi * left)) / 2)
