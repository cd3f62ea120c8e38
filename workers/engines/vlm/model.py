"""The weights of a `vlm` checkpoint on their device, and how they are told to generate."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from traceback import clear_frames
from typing import Any, cast

import torch
from transformers import LogitsProcessorList, TopKLogitsWarper, TopPLogitsWarper

from workers.engines import EngineBroken, EngineError, OutOfMemory
from workers.engines.vlm.checkpoint import Checkpoint
from workers.engines.vlm.options import VlmOptions

logger = logging.getLogger(__name__)

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
FLOAT32_ONLY = {"pix2struct"}  # row and column numbers of patches travel among its pixels
END_TOKENS = {"got_ocr2": ("<|im_end|>",)}  # a stop string in the model card, one token in the vocabulary


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """A model ready to generate. `context_tokens` is the longest prompt and answer together; None knows no end."""

    model: Any
    device: torch.device
    dtype: torch.dtype
    eos_ids: frozenset[int]
    pad_id: int
    warpers: LogitsProcessorList
    context_tokens: int | None
    copy_stream: Any  # the CUDA stream batches are copied on; None on a CPU


def pixel_dtype(checkpoint: Checkpoint, options: VlmOptions) -> torch.dtype:
    """The number type pixels travel in: that of the weights, as far as it is known without the device.

    Raises EngineError for an unknown `dtype`.
    """
    if options.dtype not in ("auto", *DTYPES):
        raise EngineError(f"DTYPE={options.dtype!r} is not one of auto, {', '.join(DTYPES)}")
    if checkpoint.model_type in FLOAT32_ONLY or (options.dtype == "auto" and options.device == "cpu"):
        return torch.float32
    return DTYPES[options.dtype] if options.dtype != "auto" else _stored_dtype(checkpoint)


def _stored_dtype(checkpoint: Checkpoint) -> torch.dtype:
    """As the config says, or that of its text model: some checkpoints, such as Qwen3-VL, tell it nowhere else."""
    config = checkpoint.config
    stored = (getattr(part, "dtype", None) for part in (config, config.get_text_config(decoder=True)))
    return next((dtype for dtype in stored if isinstance(dtype, torch.dtype)), torch.float32)


def load_model(checkpoint: Checkpoint, options: VlmOptions, tokenizer: Any) -> LoadedModel:
    """Load the weights as `options` say; raises EngineError where they cannot be loaded.

    `auto` is CUDA where there is one, the number type of the weights there and float32 on a CPU, and the attention
    that transformers prefers.
    """
    device = _choose_device(options.device)
    dtype = pixel_dtype(checkpoint, replace(options, device=device.type))
    attention = {} if options.attention == "auto" else {"attn_implementation": options.attention}
    with device_errors(checkpoint.name), current_device(device):
        try:
            model = place_weights(checkpoint, device, {"dtype": dtype} | attention, may_spread=options.device == "auto")
        except (ImportError, OSError, ValueError) as exc:
            raise EngineError(f"the weights of {checkpoint.name} cannot be loaded: {exc}") from exc
        model = model.eval()
        logger.info("loaded %s on %s as %s", checkpoint.identity, device, dtype)
        return describe(model, checkpoint, tokenizer)


def place_weights(checkpoint: Checkpoint, device: torch.device, how: dict[str, Any], *, may_spread: bool) -> Any:
    """The model on its device; where it is too large for one GPU and `may_spread`, over all that there are.

    Quantised weights are put where they belong while they are read: they cannot be moved afterwards.
    """

    def load(**more: Any) -> Any:
        return checkpoint.model_class.from_pretrained(**checkpoint.pretrained, **how, **more)

    if getattr(checkpoint.config, "quantization_config", None):
        return load(device_map={"": device})
    try:
        return load().to(device)
    except torch.OutOfMemoryError as exc:
        if not (may_spread and torch.cuda.device_count() > 1):
            raise
        clear_frames(exc.__traceback__)
    torch.cuda.empty_cache()
    logger.warning("%s is too large for one GPU and is spread over all of them", checkpoint.name)
    return load(device_map="auto")


def describe(model: Any, checkpoint: Checkpoint, tokenizer: Any) -> LoadedModel:
    """What generating needs to know of `model`, which is told to take the likeliest token from now on."""
    config = model.generation_config
    warpers = LogitsProcessorList()
    if config.top_k:
        warpers.append(TopKLogitsWarper(config.top_k))
    if config.top_p is not None and config.top_p < 1.0:
        warpers.append(TopPLogitsWarper(config.top_p))
    eos_ids = _eos_ids(config, checkpoint, tokenizer)
    pad_id = next((i for i in (config.pad_token_id, tokenizer.pad_token_id, *sorted(eos_ids)) if i is not None), 0)
    config.update(
        do_sample=False, num_beams=1, num_return_sequences=1, use_cache=True, return_dict_in_generate=False,
        max_length=None, max_new_tokens=None, temperature=None, top_k=None, top_p=None, min_p=None, typical_p=None,
        early_stopping=None, length_penalty=None, num_beam_groups=None,
        forced_eos_token_id=None,  # it would make an answer that was cut off look whole
        eos_token_id=sorted(eos_ids) or None, pad_token_id=pad_id,
    )  # fmt: skip
    text = model.config.get_text_config(decoder=True)
    return LoadedModel(
        model=model,
        device=model.device,
        dtype=model.dtype,
        eos_ids=eos_ids,
        pad_id=pad_id,
        warpers=warpers,
        context_tokens=getattr(text, "max_position_embeddings", None),
        copy_stream=torch.cuda.Stream(model.device) if model.device.type == "cuda" else None,
    )


def _eos_ids(config: Any, checkpoint: Checkpoint, tokenizer: Any) -> frozenset[int]:
    ids = config.eos_token_id if config.eos_token_id is not None else tokenizer.eos_token_id
    ids = [] if ids is None else [ids] if isinstance(ids, int) else list(ids)
    extra = END_TOKENS.get(checkpoint.model_type, ())
    return frozenset([*ids, *(i for i in tokenizer.convert_tokens_to_ids(list(extra)) if i != tokenizer.unk_token_id)])


def _choose_device(device: str) -> torch.device:
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError as exc:
        raise EngineError(f"DEVICE={device!r} is not one of auto, cpu, cuda, cuda:1") from exc
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise EngineError(f"DEVICE={device!r}: this process sees no CUDA device")
    if chosen.type == "cuda" and (chosen.index or 0) >= (count := torch.cuda.device_count()):
        raise EngineError(
            f"DEVICE={device!r}: this process sees {count} CUDA device{'s' * (count > 1)}, counted from 0"
        )
    return chosen


def current_device(device: torch.device) -> AbstractContextManager[None]:
    """Make `device` the one that streams and events of this thread belong to: they would be those of GPU 0."""
    return cast("AbstractContextManager[None]", torch.cuda.device(device)) if device.type == "cuda" else nullcontext()


def free_bytes(device: torch.device) -> int | None:
    """Memory of a GPU that is free for tensors; None where nobody has counted it."""
    if device.type != "cuda":
        return None
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(torch.cuda.mem_get_info(device)[0] + kept)


@contextmanager
def device_errors(name: str) -> Iterator[None]:
    """Turn what the device may raise into the engine's errors; memory held by the failed call is given back."""
    try:
        yield
    except EngineError:
        raise
    except torch.OutOfMemoryError as exc:
        clear_frames(exc.__traceback__)
        torch.cuda.empty_cache()
        raise OutOfMemory(f"{name} ran out of device memory: {exc}") from exc
    except RuntimeError as exc:
        message = str(exc)
        if isinstance(exc, torch.AcceleratorError) or any(word in message for word in ("CUDA", "cuBLAS", "cuDNN")):
            raise EngineBroken(f"{name} broke its device: {message}") from exc
        if "can't allocate memory" in message:
            clear_frames(exc.__traceback__)
            raise OutOfMemory(f"{name} ran out of memory: {message}") from exc
        raise EngineError(f"{name} cannot generate from these pages: {message}") from exc
    except (IndexError, TypeError, ValueError) as exc:
        raise EngineError(f"{name} cannot generate from these pages: {exc}") from exc
