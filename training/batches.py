"""Training batches: each follows from a seed and a step, so that a run can stop, go on and be repeated."""

import dataclasses
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from training.model import Batch, ReaderConfig
from training.pages import Page, draw_page
from training.vocabulary import IGNORED, character_grid
from training.words import TextSource

SHORT_SHARE = 0.12  # of the batches that are not dense have pages of one to four lines, so that a reader learns to end


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A part of a run: `steps` batches of `pages` cuttings, `height` pixels high, of at most `max_lines` lines."""

    steps: int
    height: int
    pages: int
    max_lines: int
    is_dense: bool = False
    is_reading: bool = True


class Batches(Dataset[Batch]):
    """The batches of a run; item `i` is the batch of 0-based step `i`."""

    def __init__(
        self, config: ReaderConfig, stages: Sequence[Stage], source: TextSource, faces: Sequence[Path], seed: int
    ) -> None:
        self.config, self.stages, self.source, self.faces, self.seed = config, stages, source, faces, seed

    def __len__(self) -> int:
        return sum(stage.steps for stage in self.stages)

    def __getitem__(self, step: int) -> Batch:
        rng = random.Random(f"{self.seed}/{step}")
        stage = self.stage_of(step)
        is_short = rng.random() < SHORT_SHARE
        max_lines = rng.randint(1, 4) if is_short else rng.randint(max(1, stage.max_lines // 3), stage.max_lines)
        pages = [
            draw_page(
                rng,
                self.source,
                self.faces,
                height=stage.height,
                width=self.config.page[1],
                max_lines=stage.max_lines if stage.is_dense else max_lines,
                is_dense=stage.is_dense,
            )
            for _ in range(stage.pages)
        ]
        return dataclasses.replace(collate(rng, self.config, pages), is_reading=stage.is_reading)

    def stage_of(self, step: int) -> Stage:
        """Return the stage of a 0-based step; raises `IndexError` past the last one."""
        for stage in self.stages:
            if step < stage.steps:
                return stage
            step -= stage.steps
        raise IndexError("the run has no such step")


def collate(rng: random.Random, config: ReaderConfig, pages: Sequence[Page]) -> Batch:
    """Return pages of one height as tensors; cuttings are put at random heights of the whole page."""
    height, width = pages[0].pixels.shape
    spare = (config.page[0] - height) // config.patch[0]
    first_rows = [rng.randint(0, spare) for _ in pages]
    encoded = [
        config.vocabulary.encode(page.lines, config.patch, first_row)
        for page, first_row in zip(pages, first_rows, strict=True)
    ]
    length = min(max(len(ids) for ids, _ in encoded), config.max_tokens)
    tokens = np.full((len(pages), length), IGNORED, np.int64)
    places = np.full((len(pages), length), IGNORED, np.int64)
    for index, (ids, looks) in enumerate(encoded):
        tokens[index, : len(ids)] = ids[:length]
        places[index, : len(looks)] = looks[:length]
    grids = [character_grid(page.lines, height, width, config.patch) for page in pages]
    return Batch(
        pixels=torch.from_numpy(np.stack([page.pixels for page in pages])),
        tokens=torch.from_numpy(tokens),
        places=torch.from_numpy(places),
        grid=torch.from_numpy(np.stack(grids)),
        first_rows=first_rows,
        offset=rng.randint(0, config.max_tokens - length) if spare else 0,
    )
