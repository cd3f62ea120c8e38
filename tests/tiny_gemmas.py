"""Families that read the text around an image in another way than the rest of it."""

from __future__ import annotations

import transformers as hf
from tiny_models import (
    VISION,
    Made,
    byte_tokenizer,
    chat_template,
    token_id,
    with_vocabulary,
)


def gemma3() -> Made:
    """Its layers look at a window of the text, but for some: the masks of such a batch are made at every step."""
    edge = 56
    names = {"boi_token": "<start_of_image>", "eoi_token": "<end_of_image>", "image_token": "<image_soft_token>"}
    tokenizer = byte_tokenizer(*names.values(), **names)
    config = hf.Gemma3Config(
        text_config=with_vocabulary(
            tokenizer, head_dim=8, sliding_window=16, layer_types=["sliding_attention", "full_attention"]
        ),
        vision_config={**VISION, "image_size": edge, "patch_size": 14, "vision_use_head": False},
        mm_tokens_per_image=4,
        tie_word_embeddings=False,
        boi_token_index=token_id(tokenizer, names["boi_token"]),
        eoi_token_index=token_id(tokenizer, names["eoi_token"]),
        image_token_index=token_id(tokenizer, names["image_token"]),
    )
    processor = hf.Gemma3Processor(
        image_processor=hf.Gemma3ImageProcessorPil(size={"height": edge, "width": edge}),
        tokenizer=tokenizer,
        image_seq_length=4,
        chat_template=chat_template(names["boi_token"]),
    )
    return hf.Gemma3ForConditionalGeneration(config), processor


def paligemma() -> Made:
    """Image and prompt see each other whole; the answer sees what is before it, and its tokens are of another type."""
    edge = 56
    tokenizer = byte_tokenizer("<image>", image_token="<image>")
    config = hf.PaliGemmaConfig(
        text_config=with_vocabulary(tokenizer, model_type="gemma", head_dim=8),
        vision_config={
            **VISION, "model_type": "siglip_vision_model", "image_size": edge, "patch_size": 14,
            "vision_use_head": False,
        },
        image_token_index=token_id(tokenizer, "<image>"),
        projection_dim=32,
    )  # fmt: skip
    images = hf.SiglipImageProcessorPil(size={"height": edge, "width": edge})
    images.image_seq_length = (edge // 14) ** 2
    processor = hf.PaliGemmaProcessor(image_processor=images, tokenizer=tokenizer)
    config.text_config.vocab_size = len(tokenizer)  # the processor adds tokens of its own
    return hf.PaliGemmaForConditionalGeneration(config), processor


FAMILIES = {make.__name__: make for make in (gemma3, paligemma)}
