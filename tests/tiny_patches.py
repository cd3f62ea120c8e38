"""Families that take an image as a row of patches, as long as the image is large."""

from __future__ import annotations

from typing import Any

import transformers as hf
from tiny_models import (
    ROPE,
    VISION,
    Made,
    byte_tokenizer,
    chat_template,
    token_id,
    with_vocabulary,
)

from workers.engines.vlm.compat import without_video


def qwen2_5_vl() -> Made:
    tokenizer, ids = _qwen_tokenizer()
    vision = {
        "depth": 2, "hidden_size": 32, "intermediate_size": 64, "out_hidden_size": 32, "num_heads": 4,
        "patch_size": 14, "fullatt_block_indexes": [1], "window_size": 56,
    }  # fmt: skip
    text = with_vocabulary(tokenizer, rope_parameters=ROPE)
    config = hf.Qwen2_5_VLConfig(text_config=text, vision_config=vision, **ids)
    return hf.Qwen2_5_VLForConditionalGeneration(config), _qwen_processor(hf.Qwen2_5_VLProcessor, tokenizer, 14)


def qwen3_vl() -> Made:
    tokenizer, ids = _qwen_tokenizer()
    vision = {
        "depth": 2, "hidden_size": 32, "intermediate_size": 64, "out_hidden_size": 32, "num_heads": 4,
        "patch_size": 16, "num_position_embeddings": 64, "deepstack_visual_indexes": [0],
    }  # fmt: skip
    text = with_vocabulary(tokenizer, head_dim=8, rope_parameters={**ROPE, "mrope_interleaved": True})
    config = hf.Qwen3VLConfig(text_config=text, vision_config=vision, **ids)
    return hf.Qwen3VLForConditionalGeneration(config), _qwen_processor(hf.Qwen3VLProcessor, tokenizer, 16)


def _qwen_tokenizer() -> tuple[Any, dict[str, int]]:
    tokenizer = byte_tokenizer("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
    names = {"image": "image_pad", "video": "video_pad", "vision_start": "vision_start", "vision_end": "vision_end"}
    return tokenizer, {f"{key}_token_id": token_id(tokenizer, f"<|{token}|>") for key, token in names.items()}


def _qwen_processor(processor_class: Any, tokenizer: Any, patch: int) -> Any:
    images = hf.Qwen2VLImageProcessorPil(patch_size=patch, size={"shortest_edge": 56**2, "longest_edge": 512**2})
    template = chat_template("<|vision_start|><|image_pad|><|vision_end|>")
    return without_video(processor_class)(
        image_processor=images, tokenizer=tokenizer, video_processor=None, chat_template=template
    )


def glm_ocr() -> Made:
    names = ("image", "video", "begin_of_image", "end_of_image", "begin_of_video", "end_of_video")
    tokens = {name: f"<|{name}|>" for name in names}
    tokenizer = byte_tokenizer(*tokens.values(), image_token=tokens["image"], video_token=tokens["video"])
    vision = {
        "depth": 2, "hidden_size": 32, "intermediate_size": 64, "out_hidden_size": 32, "num_heads": 4,
        "patch_size": 14, "image_size": 112,
    }  # fmt: skip
    config = hf.GlmOcrConfig(
        text_config=with_vocabulary(tokenizer, head_dim=8, rope_parameters=ROPE),
        vision_config=vision,
        image_token_id=token_id(tokenizer, tokens["image"]),
        video_token_id=token_id(tokenizer, tokens["video"]),
        image_start_token_id=token_id(tokenizer, tokens["begin_of_image"]),
        image_end_token_id=token_id(tokenizer, tokens["end_of_image"]),
        video_start_token_id=token_id(tokenizer, tokens["begin_of_video"]),
        video_end_token_id=token_id(tokenizer, tokens["end_of_video"]),
    )
    processor = without_video(hf.Glm46VProcessor)(
        image_processor=hf.Glm46VImageProcessorPil(),
        tokenizer=tokenizer,
        video_processor=None,
        chat_template=chat_template("<|begin_of_image|><|image|><|end_of_image|>"),
    )
    return hf.GlmOcrForConditionalGeneration(config), processor


def paddleocr_vl() -> Made:
    image, start, end = "<|IMAGE_PLACEHOLDER|>", "<|IMAGE_START|>", "<|IMAGE_END|>"
    tokenizer = byte_tokenizer(image, start, end, image_token=image)
    config = hf.PaddleOCRVLConfig(
        text_config=with_vocabulary(tokenizer, head_dim=8, rope_parameters=ROPE),
        vision_config={**VISION, "image_size": 112, "patch_size": 14},
        image_token_id=token_id(tokenizer, image),
        vision_start_token_id=token_id(tokenizer, start),
        vision_end_token_id=token_id(tokenizer, end),
    )
    processor = hf.PaddleOCRVLProcessor(
        image_processor=hf.PaddleOCRVLImageProcessorPil(min_pixels=56**2, max_pixels=256**2),
        tokenizer=tokenizer,
        chat_template=chat_template(start + image + end),
    )
    return hf.PaddleOCRVLForConditionalGeneration(config), processor


def lighton_ocr() -> Made:
    names = {"image_token": "<|image_pad|>", "image_break_token": "<|vision_pad|>", "image_end_token": "<|vision_end|>"}
    tokenizer = byte_tokenizer(*names.values(), **names)
    config = hf.LightOnOcrConfig(
        text_config=with_vocabulary(tokenizer, model_type="qwen3", head_dim=8),
        vision_config={**VISION, "model_type": "pixtral", "image_size": 1540, "patch_size": 14},
        image_token_id=token_id(tokenizer, names["image_token"]),
        spatial_merge_size=2,
    )
    processor = hf.LightOnOcrProcessor(
        image_processor=hf.PixtralImageProcessorPil(size={"longest_edge": 256}, patch_size={"height": 28, "width": 28}),
        tokenizer=tokenizer,
        patch_size=14,
        spatial_merge_size=2,
        chat_template=chat_template(names["image_token"]),
    )
    return hf.LightOnOcrForConditionalGeneration(config), processor


def qwen2_vl() -> Made:
    tokenizer, ids = _qwen_tokenizer()
    vision = {"depth": 2, "embed_dim": 32, "hidden_size": 32, "num_heads": 4, "patch_size": 14}
    text = with_vocabulary(tokenizer, rope_parameters=ROPE)
    config = hf.Qwen2VLConfig(text_config=text, vision_config=vision, **ids)
    return hf.Qwen2VLForConditionalGeneration(config), _qwen_processor(hf.Qwen2VLProcessor, tokenizer, 14)


FAMILIES = {
    make.__name__: make
    for make in (
        qwen2_5_vl,
        qwen3_vl,
        glm_ocr,
        paddleocr_vl,
        lighton_ocr,
        qwen2_vl,
    )
}
