"""The reader: a stock ViT encoder and MBart decoder, and the extra heads that exist only while it is trained."""

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import HieraConfig, MBartConfig, VisionEncoderDecoderConfig, VisionEncoderDecoderModel
from transformers.models.hiera.modeling_hiera import unroll

from training.vocabulary import BOS, EOS, IGNORED, PAD, Vocabulary
from training.words import CHARACTERS


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderConfig:
    """The shape of a reader; `page` and `patch` are height × width in pixels."""

    page: tuple[int, int] = (512, 384)
    patch: tuple[int, int] = (16, 8)
    stem: tuple[int, int] = (24, 16)
    pool: int = 4
    width: int = 128
    heads: tuple[int, int, int] = (1, 2, 2)
    encoder_layers: tuple[int, int] = (2, 3)
    decoder_layers: int = 3
    max_tokens: int = 1024

    @property
    def vocabulary(self) -> Vocabulary:
        """The vocabulary of this page's patch grid."""
        return Vocabulary(rows=self.page[0] // self.patch[0], columns=self.page[1] // self.patch[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Pages on one device: pixels `[pages, height, width]` (uint8), tokens and places `[pages, length]`, and a grid.

    `first_rows` are the rows of the whole page at which each cutting begins, `offset` where its tokens begin;
    without `is_reading` only the encoder is trained.
    """

    pixels: Tensor
    tokens: Tensor
    places: Tensor
    grid: Tensor
    first_rows: list[int]
    offset: int
    is_reading: bool = True

    def to(self, device: torch.device) -> "Batch":
        """Return the batch on another device."""
        moved = {
            name: getattr(self, name).to(device, non_blocking=True) for name in ("pixels", "tokens", "places", "grid")
        }
        return dataclasses.replace(self, **moved)


def build_model(config: ReaderConfig) -> VisionEncoderDecoderModel:
    """Return an untrained `VisionEncoderDecoderModel` of the given shape."""
    stride = (config.patch[0] // config.pool, config.patch[1])
    encoder = HieraConfig(
        image_size=list(config.page),
        patch_size=list(config.stem),
        patch_stride=list(stride),
        patch_padding=[(side - step) // 2 for side, step in zip(config.stem, stride, strict=True)],
        embed_dim=config.width // 2,
        depths=list(config.encoder_layers),
        num_heads=list(config.heads[:2]),
        num_query_pool=1,
        query_stride=[config.pool, 1],
        masked_unit_size=[config.pool, 1],
        masked_unit_attention=[True, False],
        drop_path_rate=0.0,
    )
    decoder = MBartConfig(
        vocab_size=len(config.vocabulary.tokens),
        d_model=config.width,
        decoder_layers=config.decoder_layers,
        decoder_attention_heads=config.heads[2],
        decoder_ffn_dim=4 * config.width,
        encoder_layers=0,
        max_position_embeddings=config.max_tokens,
        dropout=0.0,
        pad_token_id=PAD,
        bos_token_id=BOS,
        eos_token_id=EOS,
        forced_eos_token_id=None,
        decoder_start_token_id=BOS,
        scale_embedding=True,
        is_decoder=True,
        add_cross_attention=True,
    )
    joint = VisionEncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder)
    joint.decoder_start_token_id, joint.pad_token_id, joint.eos_token_id = BOS, PAD, EOS
    model = VisionEncoderDecoderModel(config=joint)
    _place_positions(model, config)
    generation = model.generation_config
    generation.decoder_start_token_id, generation.bos_token_id = BOS, BOS
    generation.pad_token_id, generation.eos_token_id = PAD, EOS
    generation.forced_eos_token_id = None
    generation.max_length = None
    generation.max_new_tokens = config.max_tokens - 1
    return model


@torch.no_grad()
def _place_positions(model: VisionEncoderDecoderModel, config: ReaderConfig) -> None:
    """Start the learned position tables from sines, so that a step in any direction is a rotation from the outset."""
    rows, columns = config.page[0] * config.pool // config.patch[0], config.page[1] // config.patch[1]
    embeddings = model.encoder.embeddings
    half = config.width // 4
    down = sines(rows, half)[:, None].expand(rows, columns, half)
    across = sines(columns, half)[None].expand(rows, columns, half)
    embeddings.position_embeddings[0] = 0.5 * torch.cat([down, across], -1).flatten(0, 1)
    projection = embeddings.patch_embeddings.projection
    nn.init.normal_(projection.weight, std=1.5 / math.sqrt(projection.weight[0].numel()))
    table = model.decoder.model.decoder.embed_positions.weight
    table.copy_(0.5 * sines(len(table), config.width))
    nn.init.normal_(model.decoder.model.decoder.embed_tokens.weight, std=config.width**-0.5)
    model.decoder.model.decoder.embed_tokens.weight[PAD] = 0.0


def sines(length: int, width: int) -> Tensor:
    """Return the `[length, width]` table of sines and cosines, wavelengths 2π to 2000π.

    Source: Vaswani et al. 2017, §3.5.
    """
    rates = torch.exp(torch.arange(width // 2) * (-math.log(1000.0) / (width // 2 - 1)))
    angles = torch.arange(length)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], -1)


class Trainee(nn.Module):
    """The reader with its training heads: the character at each half patch, and the patch looked at for each token."""

    def __init__(self, config: ReaderConfig) -> None:
        super().__init__()
        self.config = config
        self.reader = build_model(config)
        # With two wide heads the plain products are twice as fast on a CPU as the fused attention.
        self.reader.decoder.set_attn_implementation("eager")
        self.characters = nn.Linear(config.width, 2 * (len(CHARACTERS) + 1))
        self.register_buffer("weights", token_weights(config.vocabulary), persistent=False)
        self._captured: dict[int, Tensor] = {}
        for index, layer in enumerate(self.reader.decoder.model.decoder.layers):
            layer.encoder_attn.register_forward_pre_hook(self._capture(index), with_kwargs=True)

    def _capture(self, index: int) -> Callable[[nn.Module, tuple[object, ...], dict[str, Tensor]], None]:
        def hook(_module: nn.Module, _args: tuple[object, ...], kwargs: dict[str, Tensor]) -> None:
            self._captured[index] = kwargs["hidden_states"]

        return hook

    def encode(self, batch: Batch) -> Tensor:
        """Return the patch states `[pages, patches, width]` of pages or cuttings of pages."""
        encoder, config = self.reader.encoder, self.config
        pixels = normalise(batch.pixels)[:, None]  # [pages, 1, height, width]
        stem = encoder.embeddings.patch_embeddings.projection
        # The three colours of a grey page are equal, so their weights are added up.
        states = functional.conv2d(pixels, stem.weight.sum(1, keepdim=True), stem.bias, stem.stride, stem.padding)
        states = states.flatten(2).transpose(1, 2)
        columns = config.page[1] // config.patch[1]
        starts = torch.tensor(batch.first_rows, device=states.device)[:, None] * columns * config.pool
        index = starts + torch.arange(states.shape[1], device=states.device)
        states = states + encoder.embeddings.position_embeddings[0][index]
        states = unroll(states, batch.pixels.shape[1:], encoder.config.patch_stride, encoder.unroll_schedule)
        return encoder.encoder(states).last_hidden_state

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return the losses: `grid` (character at a half patch), `text` (next token), `look` (where head 0 looks)."""
        states = self.encode(batch)
        grid = self.characters(states).unflatten(-1, (2, -1)).flatten(1, 2)  # [pages, half patches, characters]
        losses = {"grid": cross_entropy(grid, batch.grid.flatten(1))}
        if not batch.is_reading:
            return losses
        start = torch.full_like(batch.tokens[:, :1], BOS)
        inputs = torch.cat([start, batch.tokens[:, :-1]], 1)
        inputs = inputs.masked_fill(inputs == IGNORED, PAD)
        embedder = self.reader.decoder.model.decoder
        table = embedder.embed_positions.weight
        positions = torch.arange(inputs.shape[1], device=inputs.device) + 2
        shift = table[positions + batch.offset] - table[positions] if batch.offset else 0.0
        embeds = embedder.embed_tokens(inputs) + shift
        logits = self.reader.decoder(inputs_embeds=embeds, encoder_hidden_states=states, use_cache=False).logits
        weights = self.weights[batch.tokens.clamp(min=0)]
        text = cross_entropy(logits, batch.tokens, weights)
        return losses | {"text": text, "look": self._look(states, batch.places, weights)}

    def _look(self, states: Tensor, places: Tensor, weights: Tensor) -> Tensor:
        """Return how far head 0 of the upper decoder layers looks from the patch of the next token."""
        losses = []
        for index, layer in enumerate(self.reader.decoder.model.decoder.layers):
            if index == 0:
                continue
            attention = layer.encoder_attn
            size = attention.head_dim
            query = functional.linear(
                self._captured[index], attention.q_proj.weight[:size], attention.q_proj.bias[:size]
            )
            key = functional.linear(states, attention.k_proj.weight[:size], attention.k_proj.bias[:size])
            losses.append(cross_entropy(query @ key.transpose(1, 2) * attention.scaling, places, weights))
        self._captured.clear()
        return torch.stack(losses).mean()


def normalise(pixels: Tensor) -> Tensor:
    """Return grey values as the saved image processor gives them: white is about 0.3, black -3."""
    return (pixels.float() / 255 - MEAN) / STD


def token_weights(vocabulary: Vocabulary) -> Tensor:
    """Return the weight of each token in the losses: a wrong row loses a line, a wrong column a word."""
    weights = torch.ones(len(vocabulary.tokens))
    weights[vocabulary.row_id(0) :] = 4.0
    weights[vocabulary.column_id(0) :] = 2.0
    weights[EOS] = 4.0
    return weights


def cross_entropy(logits: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return the mean cross entropy over the targets that are not ignored, weighted where weights are given."""
    flat, wanted = logits.float().flatten(0, 1), targets.flatten()
    if weights is None:
        return functional.cross_entropy(flat, wanted, ignore_index=IGNORED)
    losses = functional.cross_entropy(flat, wanted, ignore_index=IGNORED, reduction="none")
    weights = weights.flatten() * (wanted != IGNORED)
    return (losses * weights).sum() / weights.sum()


MEAN, STD = 0.9, 0.3
