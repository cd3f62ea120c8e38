"""The CPU side of the `vlm` engine: one page image and its prompt become the tensors the model takes.

Everything is done by the checkpoint's own processor, built on Pillow whether or not torchvision is there, so that
every machine computes the same pixels. Three prompt styles, found out by themselves unless told:

chat  the checkpoint has a chat template; the page and the prompt are one message of the user
raw   no template; the prompt is the model's input as it stands (Florence-2's `<OCR>`, Donut's task token)
none  the model takes an image and nothing else (TrOCR, Nougat, GOT-OCR2); a prompt is not used
"""

from __future__ import annotations

import copy
import inspect
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal, cast

import torch
from PIL import Image
from transformers import AutoFeatureExtractor, AutoImageProcessor, AutoTokenizer, ProcessorMixin

import workers.engines.vlm.compat as compat
from workers.engines import EngineError
from workers.engines.profiles import GENERAL, Profile, find, named
from workers.engines.vlm.checkpoint import Checkpoint

PromptStyle = Literal["chat", "raw", "none"]
Tensors = dict[str, torch.Tensor]

IMAGE_ONLY = {"got_ocr2", "pix2struct", "pp_chart2table", "vision-encoder-decoder"}
PLACES_IMAGE_ITSELF = {"florence2", "kosmos-2.5", "paligemma"}  # their processors put the image before any text
NOT_FOR_GENERATE = {"labels", "width", "height"}  # a processor gives them, `forward` takes them, generating does not

# By model type the processor's class, as transformers lists them; two it has under other names.
PROCESSOR_CLASSES = compat.PROCESSOR_CLASSES | {"glm_ocr": "Glm46VProcessor", "kosmos-2.5": "Kosmos2_5Processor"}


class PageProcessor:
    """Makes a page's tensors; needs no weights. Raises EngineError where the checkpoint's processor cannot be built.

    One thread may prepare while another decodes: a tokenizer of the tokenizers library fails when two use it, so
    each has its own.
    """

    def __init__(self, checkpoint: Checkpoint, style: str = "auto", profile: Profile | None = None) -> None:
        self.checkpoint = checkpoint
        self.processor = load_processor(checkpoint)
        self.tokenizer = getattr(self.processor, "tokenizer", None) or _load_tokenizer(checkpoint)
        self.tokenizer.padding_side = "right" if checkpoint.is_encoder_decoder else "left"
        self._decoder = copy.deepcopy(self.tokenizer)
        self._lock = threading.Lock()
        self.chat_template = self._find_chat_template()
        self.style = self._choose_style(style)
        self.profile = self._choose_profile(profile or find(checkpoint.name, checkpoint.model_type))
        self._taken = set(inspect.signature(checkpoint.model_class.forward).parameters) - NOT_FOR_GENERATE

    def __call__(self, image: Image.Image, prompt: str) -> Tensors:
        """The tensors of one page, batch dimension 1, as the processor gives them."""
        with self._lock:
            encoded = self._encode(image.convert("RGB"), self.resolve_prompt(prompt))
        return {k: v for k, v in encoded.items() if isinstance(v, torch.Tensor) and k in self._taken}

    def resolve_prompt(self, prompt: str) -> str:
        """The prompt the model is asked: a checkpoint made for one prompt gets its own for a plain transcription."""
        return self.profile.resolve(prompt)

    def render_chat(self, prompt: str) -> str:
        """The text of a conversation with one image and one prompt, ready for the model's answer."""
        content = [{"type": "image"}, *([{"type": "text", "text": prompt}] if prompt else [])]
        text = self.tokenizer.apply_chat_template(
            [{"role": "user", "content": content}],
            chat_template=self.chat_template,
            add_generation_prompt=True,
            tokenize=False,
        )
        return cast(str, text)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of an answer; raises EngineError where the tokenizer fails."""
        if not ids:
            return ""
        try:
            text = self._decoder.decode(
                list(ids), skip_special_tokens=not self.profile.keeps_special, clean_up_tokenization_spaces=False
            )
        except BaseException as exc:
            if type(exc).__name__ != "PanicException":  # of tokenizers' Rust code; no Exception, and not exported
                raise
            raise EngineError(f"the tokenizer of {self.checkpoint.name} cannot decode the answer: {exc}") from None
        return str(text)

    def _encode(self, image: Image.Image, prompt: str) -> dict[str, Any]:
        if self.style == "none":
            return dict(self.processor(images=[image], return_tensors="pt"))
        if self.style == "raw":
            return self._encode_raw(image, prompt)
        text = self.render_chat(prompt)
        bos = self.tokenizer.bos_token
        plain = {"add_special_tokens": False} if bos and text.startswith(bos) else {}  # as apply_chat_template does
        return dict(self.processor(images=[[image]], text=[text], return_tensors="pt", **plain))

    def _encode_raw(self, image: Image.Image, prompt: str) -> dict[str, Any]:
        if self.checkpoint.model_type == "vision-encoder-decoder":
            ids = self.tokenizer(prompt, add_special_tokens=False, return_tensors="pt").input_ids
            return {**self.processor(images=[image], return_tensors="pt"), "decoder_input_ids": ids}
        token = getattr(self.processor, "image_token", None)
        if token and token not in prompt and self.checkpoint.model_type not in PLACES_IMAGE_ITSELF:
            prompt = f"{token}\n{prompt}"
        return dict(self.processor(images=[image], text=[prompt], return_tensors="pt"))

    def _choose_profile(self, profile: Profile) -> Profile:
        """Where the name says nothing, a tokenizer with DocTags does: they are special tokens, and the answer."""
        writes_tags = profile.name == GENERAL and "<doctag>" in self.tokenizer.get_vocab()
        tagged = named("granite-docling")
        said = {"max_side": profile.max_side, "factor": profile.factor}  # the page images are made by then
        return replace(tagged, **said) if writes_tags else profile  # type: ignore[arg-type]

    def _find_chat_template(self) -> str | None:
        template = getattr(self.processor, "chat_template", None) or getattr(self.tokenizer, "chat_template", None)
        return template.get("default") if isinstance(template, dict) else template

    def _choose_style(self, style: str) -> PromptStyle:
        if style == "auto":
            if self.chat_template:
                return "chat"
            return "none" if self.checkpoint.model_type in IMAGE_ONLY else "raw"
        if style not in ("chat", "raw", "none"):
            raise EngineError(f"PROMPT_STYLE={style!r} is not one of auto, chat, raw, none")
        if style == "chat" and not self.chat_template:
            raise EngineError(f"PROMPT_STYLE=chat: {self.checkpoint.name} has no chat template; use raw or none")
        return cast(PromptStyle, style)


class ImagesOnly:
    """A checkpoint that comes with an image processor and a tokenizer and no processor class to join them."""

    def __init__(self, image_processor: Any, tokenizer: Any) -> None:
        self.image_processor = image_processor
        self.tokenizer = tokenizer

    def __call__(self, images: list[Image.Image], return_tensors: str) -> Any:
        return self.image_processor(images, return_tensors=return_tensors)


def load_processor(checkpoint: Checkpoint) -> Any:
    """The checkpoint's processor on Pillow, without its video part, which would need torchvision."""
    try:
        processor_class = _processor_class(checkpoint)
        if processor_class is None:
            return ImagesOnly(_load_image_processor(checkpoint), _load_tokenizer(checkpoint))
        return _build(processor_class, checkpoint)
    except (AttributeError, ImportError, OSError, TypeError, ValueError) as exc:
        raise EngineError(f"the processor of {checkpoint.name} cannot be built: {exc}") from exc


def _build(processor_class: type[ProcessorMixin], checkpoint: Checkpoint) -> Any:
    loaders: dict[str, Callable[[Checkpoint], Any]] = {
        "image_processor": _load_image_processor,
        "tokenizer": _load_tokenizer,
        "feature_extractor": _load_feature_extractor,
    }
    parts = compat.processor_parts(processor_class)
    if unknown := set(parts) - {*loaders, "video_processor"}:
        raise ValueError(f"{processor_class.__name__} also takes {', '.join(sorted(unknown))}")
    settings = compat.processor_settings(processor_class, checkpoint.pretrained)
    accepted = set(inspect.signature(processor_class.__init__).parameters) | {"chat_template"}
    values = {k: v for k, v in settings.items() if k in accepted and k not in parts}
    values |= {part: loaders[part](checkpoint) if part in loaders else None for part in parts}
    return cast(Any, compat.without_video(processor_class))(**values)


def _processor_class(checkpoint: Checkpoint) -> type[ProcessorMixin] | None:
    """The class the checkpoint's files name, else the one transformers lists for its model type."""
    name = compat.named_processor(checkpoint.pretrained) or PROCESSOR_CLASSES.get(checkpoint.model_type)
    return compat.processor_class(name) if name else None


def _load_image_processor(checkpoint: Checkpoint) -> Any:
    processor = AutoImageProcessor.from_pretrained(**checkpoint.pretrained, backend="pil")
    if getattr(processor, "backend", "pil") != "pil":
        raise ValueError(f"{type(processor).__name__} exists for torchvision only")
    return processor


def _load_tokenizer(checkpoint: Checkpoint) -> Any:
    return AutoTokenizer.from_pretrained(**checkpoint.pretrained)


def _load_feature_extractor(checkpoint: Checkpoint) -> Any:
    """The part that reads sound; a page has none, but some processors insist on it."""
    return AutoFeatureExtractor.from_pretrained(**checkpoint.pretrained)
