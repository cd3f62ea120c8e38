"""Train a reader from nothing: `python -m training.train`. `training/README.md` tells what it needs and reaches."""

import argparse
import logging
import time
from pathlib import Path

import torch
from torch import distributed
from torch.utils.data import DataLoader

from training.batches import Batches
from training.checkpoints import keep, restore, save_reader
from training.evaluate import measure
from training.fonts import HELD_OUT_FAMILIES, TRAIN_FAMILIES, find_faces
from training.model import Batch, Trainee
from training.presets import PRESETS, Preset, rate_at, toy
from training.words import TextSource, read_words

logger = logging.getLogger(__name__)

LOG_STEPS = 50


def make_optimisers(model: Trainee) -> list[torch.optim.Optimizer]:
    """Return Muon (Jordan et al. 2024) for the matrices of the layers and AdamW for all other weights."""
    layers = [*model.reader.encoder.encoder.parameters(), *model.reader.decoder.model.decoder.layers.parameters()]
    matrices = [weight for weight in layers if weight.ndim == 2]
    known = {id(weight) for weight in matrices}
    others = [weight for weight in model.parameters() if id(weight) not in known]
    return [
        torch.optim.Muon(matrices, weight_decay=0.02, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, weight_decay=0.0, betas=(0.9, 0.98)),
    ]


def train_step(
    model: Trainee, optimisers: list[torch.optim.Optimizer], batch: Batch, rate: float, boost: float = 3.0
) -> dict[str, float]:
    """Take one step at a learning rate, for Muon `boost` times as high, and return the losses."""
    device = next(model.parameters()).device
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["lr"] = rate * (boost if isinstance(optimiser, torch.optim.Muon) else 1.0)
    with torch.autocast(device.type, torch.bfloat16):
        losses: dict[str, torch.Tensor] = model(batch.to(device))
    torch.stack(list(losses.values())).sum().backward()
    share_gradients(model)
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for optimiser in optimisers:
        optimiser.step()
    model.zero_grad(set_to_none=True)
    return {name: loss.item() for name, loss in losses.items()}


def share_gradients(model: Trainee) -> None:
    """Average the gradients over all processes of a `torchrun`; with one process there is nothing to do."""
    if not distributed.is_initialized():
        return
    gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    distributed.all_reduce(flat)
    flat /= distributed.get_world_size()
    for gradient, part in zip(gradients, flat.split([gradient.numel() for gradient in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))


class Log:
    """Running means of the losses, written every `LOG_STEPS` steps."""

    def __init__(self) -> None:
        self._means: dict[str, float] = {}
        self._since = time.monotonic()

    def add(self, step: int, losses: dict[str, float]) -> None:
        """Take in the losses of a step."""
        self._means = {name: 0.97 * self._means.get(name, loss) + 0.03 * loss for name, loss in losses.items()}
        if step % LOG_STEPS == 0:
            seconds = (time.monotonic() - self._since) / LOG_STEPS
            shown = " ".join(f"{name} {loss:.3f}" for name, loss in self._means.items())
            logger.info("step %d %s %.2f s/step", step, shown, seconds)
            self._since = time.monotonic()


def train(preset: Preset, options: argparse.Namespace) -> None:
    """Train, save and check a reader; a run that was stopped goes on from its last state."""
    rank = distributed.get_rank() if distributed.is_initialized() else 0
    words = read_words(options.words)
    faces = find_faces(options.fonts, TRAIN_FAMILIES)
    batches = Batches(preset.config, preset.stages, TextSource(words), faces, options.seed + 1000 * rank)
    model = Trainee(preset.config).to(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    optimisers = make_optimisers(model)
    options.out.mkdir(parents=True, exist_ok=True)
    done = restore(options.out / "state.pt", model, optimisers)
    size = sum(weight.numel() for weight in model.reader.parameters())
    logger.info("%.2f M parameters, step %d of %d", size / 1e6, done, len(batches))
    loader = DataLoader(batches, batch_size=None, sampler=range(done, len(batches)), num_workers=options.workers)
    log, saved = Log(), time.monotonic()
    for step, batch in enumerate(loader, start=done):
        losses = train_step(model, optimisers, batch, rate_at(preset, step))
        if rank:
            continue
        log.add(step + 1, losses)
        is_last = step + 1 == len(batches)
        if is_last or time.monotonic() - saved > 60 * options.save_minutes:
            keep(options.out / "state.pt", model, optimisers, step + 1)
            save_reader(model, options.out / "reader")
            if batch.is_reading and options.check_pages:
                unseen = find_faces(options.fonts, HELD_OUT_FAMILIES)
                measure(
                    options.out / "reader",
                    TextSource(words, held_out=True),
                    unseen,
                    [(1, 4), (10, 14)],
                    options.check_pages,
                )
            saved = time.monotonic()


def main() -> None:
    """Train from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", choices=PRESETS, default="small")
    parser.add_argument("--toy", action="store_true", help="shrink the preset to a run of seconds")
    parser.add_argument("--out", type=Path, default=Path("build/tiny-reader"))
    parser.add_argument("--fonts", type=Path, default=Path("/usr/share/fonts"))
    parser.add_argument("--words", type=Path, default=Path("/usr/share/dict/words"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=0, help="0 leaves the number to torch")
    parser.add_argument("--workers", type=int, default=1, help="processes that draw pages")
    parser.add_argument("--save-minutes", type=float, default=5)
    parser.add_argument("--check-pages", type=int, default=0, help="pages to read at each save")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    torch.manual_seed(options.seed)
    if options.threads:
        torch.set_num_threads(options.threads)
    if distributed.is_torchelastic_launched():
        distributed.init_process_group("gloo")
    preset = PRESETS[options.preset]
    train(toy(preset) if options.toy else preset, options)


if __name__ == "__main__":
    main()
