"""What the engine takes from transformers beside its documented interface; no other module here names such things.

tests/test_engines_vlm_compat.py says which of them a version of transformers has lost.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from transformers import ImageProcessingMixin, ProcessorMixin
from transformers.cache_utils import StaticLayer
from transformers.generation.utils import MULTIMODAL_INPUTS_TO_DROP_OUTSIDE_PREFILL
from transformers.models.auto.image_processing_auto import IMAGE_PROCESSOR_MAPPING_NAMES
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING_NAMES, processor_class_from_name
from transformers.models.auto.tokenization_auto import get_tokenizer_config

FixedLayer = StaticLayer  # of a cache whose tensors stay where they are
PREFILL_ONLY = frozenset(MULTIMODAL_INPUTS_TO_DROP_OUTSIDE_PREFILL)  # arguments that the first pass alone reads

# By model type: the class of its model, that of its processor, and the libraries its images can be prepared with.
MODEL_CLASSES: dict[str, str] = MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
PROCESSOR_CLASSES: dict[str, str] = PROCESSOR_MAPPING_NAMES
IMAGE_BACKENDS: dict[str, dict[str, str]] = IMAGE_PROCESSOR_MAPPING_NAMES


def attention_of(config: Any) -> str:
    """How a model with this config computes attention: sdpa, eager, flash_attention_2, …"""
    return str(config._attn_implementation)


def takes_masks_by_kind(model: Any) -> bool:
    """Whether `model` takes a mask for each kind of attention, as those do that transformers would compile."""
    return bool(model._can_compile_fullgraph)


def keep_rows(model: Any, index: torch.Tensor) -> None:
    """Keep the rows `index` of what a running model remembers itself: how far images shift the positions after them."""
    inner = getattr(model, "model", model)
    if getattr(inner, "rope_deltas", None) is not None:
        inner.rope_deltas = inner.rope_deltas.index_select(0, index)


def processor_class(name: str) -> type[ProcessorMixin]:
    """The class of processors called `name`; raises ImportError where it needs a library that is not there."""
    return cast("type[ProcessorMixin]", processor_class_from_name(name))


def named_processor(pretrained: dict[str, Any]) -> str | None:
    """The name of the class of processors that a checkpoint's files give, if they do."""
    name = processor_settings(ProcessorMixin, pretrained).get("processor_class")
    name = name or _image_settings(pretrained).get("processor_class")
    return cast("str | None", name or get_tokenizer_config(**pretrained).get("processor_class"))


def processor_settings(processor: type[ProcessorMixin], pretrained: dict[str, Any]) -> dict[str, Any]:
    """What a checkpoint's files say of its processor."""
    return dict(processor.get_processor_dict(**pretrained)[0])


def _image_settings(pretrained: dict[str, Any]) -> dict[str, Any]:
    try:
        return dict(ImageProcessingMixin.get_image_processor_dict(**pretrained)[0])
    except OSError:
        return {}  # newer checkpoints keep them inside processor_config.json


def processor_parts(processor: type[ProcessorMixin]) -> list[str]:
    """The parts a processor is made of, by the names of its arguments."""
    return list(processor.get_attributes())


def without_video(processor: type[ProcessorMixin]) -> type[ProcessorMixin]:
    """`processor`, content without the video processor that it would otherwise insist on.

    A page needs none, and without torchvision none can be made.
    """

    def check(self: Any, name: str, part: Any) -> Any:
        return None if name == "video_processor" else processor.check_argument_for_proper_class(self, name, part)

    return type(processor.__name__, (processor,), {"check_argument_for_proper_class": check})
