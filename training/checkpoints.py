"""What a run writes: the reader for use, and the state from which a stopped run goes on."""

from pathlib import Path

import torch
from PIL import Image
from transformers import TrOCRProcessor, ViTImageProcessorPil

from training.model import MEAN, STD, Trainee
from training.vocabulary import build_tokenizer


def save_reader(model: Trainee, folder: Path) -> None:
    """Write the reader in bfloat16 with its image processor and tokenizer; the training heads stay behind.

    The image processor brings any page to the reader's size, so it should have about the same proportions.
    """
    height, width = model.config.page
    processor = ViTImageProcessorPil(
        size={"height": height, "width": width},
        image_mean=[MEAN] * 3,
        image_std=[STD] * 3,
        resample=Image.Resampling.BICUBIC,
        do_convert_rgb=True,
    )
    tokenizer = build_tokenizer(model.config.vocabulary)
    state = {name: weight.to("cpu", torch.bfloat16) for name, weight in model.reader.state_dict().items()}
    model.reader.save_pretrained(folder, state_dict=state)
    processor.save_pretrained(folder)
    TrOCRProcessor(image_processor=processor, tokenizer=tokenizer).save_pretrained(folder)


def keep(path: Path, model: Trainee, optimisers: list[torch.optim.Optimizer], step: int) -> None:
    """Write the state after `step` steps; the file is whole at any moment."""
    states = [optimiser.state_dict() for optimiser in optimisers]
    part = path.with_suffix(".part")
    torch.save({"model": model.state_dict(), "optimisers": states, "step": step}, part)
    part.replace(path)


def restore(path: Path, model: Trainee, optimisers: list[torch.optim.Optimizer]) -> int:
    """Load a stopped run's state, if there is one, and return the number of steps done."""
    if not path.exists():
        return 0
    state = torch.load(path, weights_only=True, map_location=next(model.parameters()).device)
    model.load_state_dict(state["model"])
    for optimiser, saved in zip(optimisers, state["optimisers"], strict=True):
        optimiser.load_state_dict(saved)
    return int(state["step"])
